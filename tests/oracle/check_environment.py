"""Exits 0 if this Python has everything of requirements.txt and requirements-no-deps.txt, and names the versions."""
import importlib.metadata

import rustbpe  # noqa: F401  (imported to see that it is there; so are the next two)
import torchtitan.config  # noqa: F401
import megatron.core.transformer  # noqa: F401
import numpy
import safetensors
import tiktoken
import tokenizers
import torch
import transformers

print(", ".join(f"{m.__name__} {m.__version__}" for m in (torch, transformers, safetensors, tokenizers, tiktoken, numpy)))
print(", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("torchtitan", "megatron-core")))
