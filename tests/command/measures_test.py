#!/usr/bin/env python3
"""What a run shows of its gradient: norms by tensor, the tensor behind an alarm, the gradient noise scale; the same after a resume."""
import json
import math
import struct
import unittest

import harness
from harness import DONE, expect, json_of


def tensors_of(path):
    """The fp32 tensors of a safetensors file, in the order of their data."""
    raw = path.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header = {name: info for name, info in json.loads(raw[8:8 + size]).items() if name != "__metadata__"}
    values = {}
    for name, info in header.items():
        begin, end = (8 + size + offset for offset in info["data_offsets"])
        values[name] = struct.unpack(f"<{(end - begin) // 4}f", raw[begin:end])
    return values


def norm(values):
    return math.sqrt(math.fsum(x * x for x in values))


def events(run_file, kind):
    return [event for event in harness.events(run_file) if event["kind"] == kind]


class Measures(unittest.TestCase):
    def test_norms_by_tensor_are_those_of_debug_step(self):
        run_file = harness.write_run("norms", run={"steps": 2}, log={"tensors_every": "1 steps"}, checkpoint={"every": "1 steps"})
        out = harness.SCRATCH / "step0"
        expect(self, DONE, "debug", "step", run_file, "--out", out, "--fresh")
        expect(self, DONE, "train", run_file)
        gradients, before, after = (tensors_of(out / f"{part}.safetensors") for part in ("gradients", "weights", "updated"))
        shown = harness.results(run_file)[0]["tensors"]
        names = events(run_file, "launch")[0]["tensors"]
        self.assertEqual(sorted(names), sorted(gradients))
        for i, name in enumerate(names):
            update = norm([b - a for a, b in zip(before[name], after[name])])
            for found, expected in ((shown["gradient"][i], norm(gradients[name])), (shown["weight"][i], norm(after[name])), (shown["update"][i], update)):
                self.assertLessEqual(abs(found - expected), 1e-12 * expected, name)
        self.assertAlmostEqual(norm(shown["gradient"]), harness.results(run_file)[0]["grad_norm_before_clip"], delta=1e-12)

    def test_the_noise_scale_goes_on_after_a_resume(self):
        whole = harness.write_run("noise", run={"steps": 12}, log={"tensors_every": "3 steps"})
        done = expect(self, DONE, "train", whole)
        self.assertIn("gradient noise scale", done.stdout)
        stopped = harness.write_run("noise-stopped", run={"steps": 12}, log={"tensors_every": "3 steps"}, checkpoint={"every": "5 steps"})
        harness.kill_after(stopped, 7)
        expect(self, DONE, "train", stopped)
        self.assertTrue(events(stopped, "launch")[-1]["resumed_from_step"])
        self.assertEqual(harness.results(stopped), harness.results(whole))
        for result in harness.results(whole):
            self.assertEqual("tensors" in result, result["step"] % 3 == 0)
            noise = result["noise_scale"]
            if noise["gradient_squared_mean"] > 0:
                self.assertAlmostEqual(noise["sequences"], noise["trace_mean"] / noise["gradient_squared_mean"], delta=1e-9 * abs(noise["sequences"]))
        summary = json_of(self, "train", whole)
        self.assertEqual(summary["noise_scale_sequences"], harness.results(whole)[-1]["noise_scale"].get("sequences"))

    def test_one_virtual_rank_has_no_noise_scale(self):
        run_file = harness.write_run("alone", run={"steps": 2}, batch={"virtual_ranks": 1})
        self.assertIn("not available, it needs batch.virtual_ranks", expect(self, DONE, "train", run_file).stdout)
        self.assertNotIn("noise_scale", harness.results(run_file)[0])

    def test_a_passage_is_generated_with_each_validation_and_reaches_no_weight(self):
        plain = harness.write_run("no-passage", run={"steps": 20})
        prompted = harness.write_run("passage", run={"steps": 20}, validation={"prompt": "ab", "prompt_tokens": 5})
        expect(self, DONE, "train", plain)
        done = expect(self, DONE, "train", prompted)
        self.assertEqual(harness.results(prompted)[-1]["state_hash"], harness.results(plain)[-1]["state_hash"])
        shown = {r["step"]: r["passage"] for r in harness.results(prompted) if "passage" in r}
        self.assertEqual(sorted(shown), [10, 20])
        self.assertIn("  ab|", done.stderr)
        expect(self, DONE, "train", prompted, "--set", "run.steps=20", "--from-step", "10", "--set", "validation.prompt=cd")
        page = prompted.parent / "run/report.html"
        expect(self, DONE, "report", prompted)
        self.assertRegex(page.read_text(), r"<td>10</td><td>ab</td>(?s:.)*<td>20</td><td>cd</td>")
        again = json_of(self, "generate", prompted, "--prompt", "ab", "--tokens", "5", "--temperature", "0")
        self.assertEqual({"text": again["text"], "stop": again["stop"]}, shown[20], "the last checkpoint gives the last passage")

    def test_an_alarm_names_the_tensor(self):
        run_file = harness.write_run("alarm", run={"steps": 3}, guards={"grad_norm_warn": 1e-6})
        done = expect(self, DONE, "train", run_file)
        alarm = events(run_file, "alarm")[0]
        self.assertEqual(alarm["alarm"], "grad_norm_warn")
        self.assertIn(f"{alarm['tensor']} has ", done.stderr)
        self.assertEqual(harness.results(run_file)[0]["alarm_tensor"]["name"], alarm["tensor"])


if __name__ == "__main__":
    unittest.main()
