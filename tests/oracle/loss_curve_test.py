#!/usr/bin/env python3
"""100 steps of one small run in longhaul and in PyTorch, from the same weights on the same batches: the loss curves agree within 1 %.

PyTorch reads our batches (`debug batches`) and our initial weights (`debug step`), and does the rest its own way: transformers' model in
fp32, torch.optim.AdamW with two decay groups, clip_grad_norm_, and the learning rate that our records name.
"""
import json
import unittest

import harness
import reference_model
import support
import torch
from harness import DONE, expect
from safetensors.torch import load_file

STEPS = 100


class LossCurve(unittest.TestCase):
    def train_in_pytorch(self, spec, weights, batches, rates):
        model = reference_model.load_weights(reference_model.build(spec, "sdpa"), weights)
        matrices = [p for p in model.parameters() if p.dim() > 1]
        vectors = [p for p in model.parameters() if p.dim() == 1]
        optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}],
                                      betas=(0.9, 0.95), eps=1e-8)
        losses = []
        for step, rate in enumerate(rates):
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.zero_grad()
            loss = reference_model.loss(model, {key: value[step] for key, value in batches.items()})
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            losses.append(loss.item())
        return losses

    def compare(self, name, dtype):
        run_file = support.write_case(f"curve-{name}-{dtype}", support.CASES[name], run={"steps": STEPS}, precision={"dtype": dtype},
                                      optimizer={"ema_beta": 0.0})
        start = support.debug_step(self, run_file, run_file.parent / "start")
        batches = run_file.parent / "batches.safetensors"
        expect(self, DONE, "debug", "batches", run_file, "--steps", STEPS, "--out", batches)
        expect(self, DONE, "train", run_file)
        records = harness.results(run_file)
        ours = [record["loss"] for record in records]
        theirs = self.train_in_pytorch(support.model_table(self, run_file), start["weights"], load_file(batches),
                                       [record["learning_rate"] for record in records])
        apart = [abs(a - b) / b for a, b in zip(ours, theirs)]
        print(f"{name} {dtype}: loss {ours[0]:.4f} → {ours[-1]:.4f}, PyTorch {theirs[-1]:.4f}; farthest apart {100 * max(apart):.4f} %")
        self.assertEqual(len(ours), STEPS)
        self.assertLess(ours[-1], 0.9 * ours[0], "the model learns")
        self.assertLess(max(apart), 0.01)

    def test_gpt2_in_fp32(self):
        self.compare("gpt2-tied", "fp32")

    def test_llama_in_fp32(self):
        self.compare("llama-grouped", "fp32")

    def test_llama_in_bf16(self):
        self.compare("llama-grouped", "bf16")


if __name__ == "__main__":
    torch.set_num_threads(1)  # tiny models: more threads only wait for each other
    unittest.main(verbosity=2)
