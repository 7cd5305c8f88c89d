#!/usr/bin/env python3
"""Makes the stored tensors that the C++ tests compare whole models with (run: tests/oracle/with_oracle tests/golden/make_reference.py).

Each NAME.safetensors holds one step of a tiny model computed by transformers in fp64 (tests/oracle/reference_model.py) and stored in
fp32: `weights.*` and `gradients.*` under Hugging Face's tensor names, `batch.*` (tokens, targets, loss_mask, positions, documents:
i32 [sequences, sequence_length]), `logits` of the last 8 tokens of the first sequence, and `loss` (f64 [1]). The metadata `spec` is the [model] table as
JSON. Sequences are longer than one key tile of attention (64) and hold several documents; sizes are odd on purpose. Weights are
rounded to bf16 so that a test in either precision starts from the same numbers.
"""
import json
import pathlib
import sys

import torch
from safetensors.torch import save_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/oracle"))
import reference_model  # noqa: E402

LENGTH = 72
COMMON = {"layers": 2, "width": 16, "vocab": 41, "ffn_width": 24, "norm_epsilon": 1e-5, "qkv_bias": False, "qk_norm": False,
          "position": "rope", "position_rows": LENGTH, "rope_theta": 10000.0, "head_dim": 0, "tied_embeddings": False}
SPECS = {
    "gpt2_tied": {"family": "gpt2", "position": "learned", "heads": 2, "kv_heads": 2, "head_dim": 8, "tied_embeddings": True},
    "llama_grouped": {"family": "llama", "heads": 4, "kv_heads": 2, "head_dim": 6, "norm_epsilon": 1e-6},
    "qwen2_bias": {"family": "llama", "heads": 2, "kv_heads": 1, "head_dim": 8, "qkv_bias": True, "rope_theta": 1e6, "tied_embeddings": True},
    "qwen3_qk_norm": {"family": "llama", "heads": 3, "kv_heads": 1, "head_dim": 10, "qk_norm": True, "norm_epsilon": 1e-6},
}


def make_batch(generator, sequences, vocab):
    """Random tokens; documents begin at random places, positions restart there, no target crosses a boundary."""
    tokens = torch.randint(0, vocab, (sequences, LENGTH + 1), generator=generator)
    starts = torch.rand(sequences, LENGTH, generator=generator) < 0.05
    starts[:, 0] = True
    starts[0, 1:] = False  # the first sequence is one document, longer than a tile
    documents = starts.long().cumsum(1) - 1
    index = torch.arange(LENGTH).expand(sequences, LENGTH)
    positions = index - torch.where(starts, index, 0).cummax(1).values
    mask = torch.ones(sequences, LENGTH, dtype=torch.long)
    mask[:, :-1] = (documents[:, 1:] == documents[:, :-1]).long()
    mask[-1, 40:] = 0  # and one sequence has far fewer targets than the others
    return {"tokens": tokens[:, :-1], "targets": tokens[:, 1:], "loss_mask": mask, "positions": positions, "documents": documents}


def make(name, spec):
    generator = torch.Generator().manual_seed(20 + list(SPECS).index(name))
    model = reference_model.build(spec)
    with torch.no_grad():
        for tensor, p in model.named_parameters():
            if p.dim() == 1:  # norms and biases: away from 1 and 0, so that every one of them matters
                p.copy_((1.0 if tensor.endswith("weight") else 0.0) + 0.1 * torch.randn(p.shape, generator=generator))
            else:
                p.copy_(0.15 * torch.randn(p.shape, generator=generator))
            p.copy_(p.bfloat16().float())
    weights = {k: p.detach().clone() for k, p in model.named_parameters()}
    batch = make_batch(generator, 3, spec["vocab"])
    model = model.double()
    with reference_model.exact():
        loss, gradients = reference_model.gradients(model, batch)
        with torch.no_grad():
            logits = reference_model.logits(model, batch)[0, -8:]
    tensors = {f"weights.{k}": v for k, v in weights.items()} | {f"gradients.{k}": v.float() for k, v in gradients.items()}
    tensors |= {f"batch.{k}": v.to(torch.int32).contiguous() for k, v in batch.items()}
    tensors |= {"logits": logits.float(), "loss": torch.tensor([loss], dtype=torch.float64)}
    path = pathlib.Path(__file__).parent / f"{name}.safetensors"
    save_file({k: v.contiguous() for k, v in tensors.items()}, path, {"spec": json.dumps({"name": name, **spec}, sort_keys=True)})
    path.chmod(0o644)
    print(f"{path.name}: loss {loss:.6f}, {path.stat().st_size} bytes")


if __name__ == "__main__":
    for name, changes in SPECS.items():
        make(name, COMMON | changes)
