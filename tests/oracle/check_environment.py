"""Exits 0 if this Python has everything of requirements.txt, and names the versions."""
import rustbpe  # noqa: F401  (imported to see that it is there)
import numpy
import safetensors
import tiktoken
import tokenizers
import torch
import transformers

print(", ".join(f"{m.__name__} {m.__version__}" for m in (torch, transformers, safetensors, tokenizers, tiktoken, numpy)))
