#!/usr/bin/env python3
"""GPT-2 trained by eager PyTorch on this machine's processor: the speed and memory that longhaul is compared with.

The model is written as nanoGPT writes it (fused attention, one qkv product, tied head): faster in eager mode than transformers' own.
bf16 autocast, fp32 weights, fused AdamW, gradients clipped to norm 1, random tokens. One step to warm up, then --steps timed ones.

Prints one JSON document: tokens_per_s (median over steps), step_seconds, peak_memory_bytes (largest RssAnon minus RssAnon before the
model was made, as longhaul counts memory growth) and the versions. bench/versus_pytorch runs it; ONEDNN_MAX_CPU_ISA limits the
instruction sets that PyTorch may use.
"""
import argparse
import json
import os
import statistics
import threading
import time

import torch
from torch import nn
from torch.nn import functional

SHAPES = {"gpt2-124m": (12, 12, 768), "gpt2-tiny": (2, 4, 128)}
VOCABULARY, POSITIONS = 50257, 1024


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.project = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        batch, length, width = x.shape
        q, k, v = (t.view(batch, length, self.heads, -1).transpose(1, 2) for t in self.qkv(self.norm1(x)).split(width, dim=2))
        attended = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.project(attended.transpose(1, 2).reshape(batch, length, width))
        return x + self.down(functional.gelu(self.up(self.norm2(x)), approximate="tanh"))


class Gpt2(nn.Module):
    def __init__(self, layers, heads, width):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(VOCABULARY, width), nn.Embedding(POSITIONS, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        for p in self.parameters():
            nn.init.normal_(p, std=0.02) if p.dim() > 1 else None

    def forward(self, tokens, targets):
        x = self.tokens(tokens) + self.positions(torch.arange(tokens.shape[1]))
        for block in self.blocks:
            x = block(x)
        logits = functional.linear(self.norm(x), self.tokens.weight)
        return functional.cross_entropy(logits.view(-1, VOCABULARY), targets.reshape(-1))


def rss_anon():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("RssAnon"))


class PeakMemory(threading.Thread):
    """Samples RssAnon 50 times a second."""

    def __init__(self):
        super().__init__(daemon=True)
        self.before = self.peak = rss_anon()

    def run(self):
        while True:
            self.peak = max(self.peak, rss_anon())
            time.sleep(0.02)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="gpt2-124m", choices=SHAPES)
    parser.add_argument("--micro-batch", type=int, default=4)
    parser.add_argument("--sequence-length", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dtype", default="bf16", choices=["bf16", "fp32"])
    parser.add_argument("--compile", action="store_true", help="torch.compile instead of eager mode")
    arguments = parser.parse_args()

    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    memory = PeakMemory()
    memory.start()
    model = Gpt2(*SHAPES[arguments.model])
    step_of = torch.compile(model) if arguments.compile else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    seconds = []
    for _ in range(arguments.steps + 1):
        tokens = torch.randint(0, VOCABULARY, (arguments.micro_batch, arguments.sequence_length + 1))
        begin = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=arguments.dtype == "bf16"):
            loss = step_of(tokens[:, :-1], tokens[:, 1:])
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        seconds.append(time.perf_counter() - begin)
    median = statistics.median(seconds[1:])
    print(json.dumps({
        "tokens_per_s": arguments.micro_batch * arguments.sequence_length / median, "step_seconds": seconds[1:],
        "peak_memory_bytes": memory.peak - memory.before, "loss": loss.item(), "torch": torch.__version__,
        "onednn_max_cpu_isa": os.environ.get("ONEDNN_MAX_CPU_ISA", "unrestricted")}))


if __name__ == "__main__":
    main()
