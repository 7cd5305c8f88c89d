#!/usr/bin/env python3
"""One optimizer step against PyTorch in fp64, tensor by tensor, for three shapes of each family.

`longhaul debug step` writes weights, batch, gradients and updated weights; transformers' own model, loaded with the same weights and
computing in fp64, gives the reference. In fp32 each gradient is within 1e-5 (relative, 2-norm); in bf16 it errs at most 1.5 times what
PyTorch's own bf16 autocast errs on the same weights and batch.
"""
import math
import unittest

import harness
import reference_model
import support
import torch
from support import CASES, debug_step, relative_error


def exact_gradients(spec, step):
    model = reference_model.load_weights(reference_model.build(spec), step["weights"]).double()
    with reference_model.exact():
        return reference_model.gradients(model, step["batch"])


def autocast_gradients(spec, step):
    """What PyTorch gives under bf16 autocast, with its fused attention."""
    model = reference_model.load_weights(reference_model.build(spec, "sdpa"), step["weights"])
    with torch.autocast("cpu", torch.bfloat16):
        return reference_model.gradients(model, step["batch"])[1]


class DebugStep(unittest.TestCase):
    steps = {}

    def step(self, name, dtype):
        """(model table, what debug step wrote), computed once for all tests."""
        if (name, dtype) not in self.steps:
            run_file = support.write_case(f"{name}-{dtype}", CASES[name], precision={"dtype": dtype})
            self.steps[name, dtype] = support.model_table(self, run_file), debug_step(self, run_file, run_file.parent / "step")
        return self.steps[name, dtype]

    def test_fp32_gradients(self):
        for name in CASES:
            with self.subTest(name):
                spec, step = self.step(name, "fp32")
                loss, reference = exact_gradients(spec, step)
                self.assertEqual(set(step["gradients"]), set(reference))
                errors = {tensor: relative_error(step["gradients"][tensor], reference[tensor]) for tensor in reference}
                worst = max(errors, key=errors.get)
                print(f"{name}: fp32, largest error {errors[worst]:.2e} in {worst}; loss {step['step']['loss']:.7f}, exact {loss:.7f}")
                self.assertLess(errors[worst], 1e-5, worst)
                self.assertAlmostEqual(step["step"]["loss"], loss, delta=1e-6 * loss)
                self.assertAlmostEqual(loss, math.log(spec["vocab"]), delta=0.15)

    def test_bf16_gradients_against_autocast(self):
        for name in CASES:
            with self.subTest(name):
                spec, step = self.step(name, "bf16")
                _, reference = exact_gradients(spec, step)
                torch_gradients = autocast_gradients(spec, step)
                ratios = {}
                for tensor, exact in reference.items():
                    ratios[tensor] = relative_error(step["gradients"][tensor], exact) / relative_error(torch_gradients[tensor], exact)
                worst = max(ratios, key=ratios.get)
                mean = math.exp(sum(map(math.log, ratios.values())) / len(ratios))
                print(f"{name}: bf16, error / autocast's: geometric mean {mean:.2f}, largest {ratios[worst]:.2f} in {worst}")
                self.assertLess(ratios[worst], 1.5, worst)

    def test_norm_clip_and_update(self):
        """Norms are those of the gradients; the update is AdamW (arXiv 1711.05101), decay on matrices alone."""
        for name in CASES:
            with self.subTest(name):
                _, step = self.step(name, "fp32")
                norm = math.sqrt(sum(g.double().square().sum().item() for g in step["gradients"].values()))
                self.assertAlmostEqual(step["step"]["grad_norm_before_clip"], norm, delta=1e-6 * norm)
                after = step["step"]["grad_norm_after_clip"]
                self.assertAlmostEqual(after, min(norm, 1.0), delta=1e-6)
                rate = step["step"]["learning_rate"]
                self.assertGreater(rate, 0)
                for tensor, before in step["weights"].items():
                    before, g = before.double(), step["gradients"][tensor].double() * (after / norm)
                    decay = 0.1 if before.dim() > 1 else 0.0
                    # First step: the bias corrections make m̂ = g and v̂ = g².
                    wanted = before - rate * (g / (g.abs() + 1e-8) + decay * before)
                    error = (step["updated"][tensor].double() - wanted).abs().max().item()
                    self.assertLess(error, 2.0**-23 * before.abs().max().item() + 1e-5 * rate, tensor)

    def test_micro_batches_with_uneven_masks_are_one_batch(self):
        """Same batch, V = 1: one sequence at a time gives the bits of all at once, though their target counts differ."""
        case = CASES["llama-grouped"] | {"batch": {"sequence_length": 96, "micro_batch": 8, "global_batch": 8, "virtual_ranks": 1},
                                        "data": {"end_of_text_loss": False}}  # ends left out: sequences have unequal counts
        run_file = support.write_case("uneven", case, precision=support.FP32)
        whole = debug_step(self, run_file, run_file.parent / "whole")
        parts = debug_step(self, run_file, run_file.parent / "parts", "--set", "batch.micro_batch=1")
        counts = whole["batch"]["loss_mask"].sum(1).tolist()
        self.assertGreater(len(set(counts)), 1, "the masks are uneven")
        self.assertEqual(whole["step"]["loss"], parts["step"]["loss"])
        for tensor, gradient in whole["gradients"].items():
            self.assertTrue(torch.equal(gradient, parts["gradients"][tensor]), tensor)


if __name__ == "__main__":
    torch.set_num_threads(1)  # tiny models: more threads only wait for each other
    unittest.main(verbosity=2)
