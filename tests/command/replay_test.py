#!/usr/bin/env python3
"""Any window of a run can be trained again anywhere and is equal; what is not what the run recorded is found and named."""
import hashlib
import json
import os
import random
import shutil
import unittest

import harness
from harness import DAMAGED, DONE, expect, json_of

CHANGES = {"run": {"threads": 1}, "batch": {"micro_batch": 1, "virtual_ranks": 4}, "log": {"tensors_every": "6 steps"},
           "validation": {"prompt": "abc", "prompt_tokens": 4}}
PLACES = [["--layout", "dp=2"], ["--layout", "dp=4,zero=3"], ["--layout", "pp=2,schedule=zb-h1"], ["--layout", "dp=3,pp=2,zero=2"],
          ["--ranks", "2"], ["--set", "run.threads=2"], ["--set", "run.family=avx2"], ["--set", "parallel.recompute=layer"]]


def altered_record(run_file, step, field, value):
    """A record changed by someone who knows the format: its hash is right, and so are those after it."""
    path = run_file.parent / "run/ledger/metrics.jsonl"
    documents, head = [json.loads(line) for line in path.read_text().splitlines()], "0" * 64
    for document in documents:
        result = document["result"]
        if result["step"] == step:
            result[field] = value
        contents = {k: v for k, v in result.items() if k not in ("prev", "hash")}
        text = json.dumps(contents, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        result["prev"], result["hash"] = head, hashlib.sha256(f"{head}\n{text}".encode()).hexdigest()
        head = result["hash"]
    path.write_text("".join(json.dumps(d, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n" for d in documents))


class Replay(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.run_file = harness.write_run("recorded", **CHANGES)
        expect(cls(), DONE, "train", cls.run_file)

    def copy(self, name):
        run_file = harness.write_run(name, **CHANGES)
        shutil.copytree(self.run_file.parent / "run", run_file.parent / "run")
        return run_file

    def test_windows_are_equal_in_other_places(self):
        before = harness.tree(self.run_file.parent)
        draw = random.Random(3)
        for i in range(int(os.environ.get("LONGHAUL_WINDOWS", "6"))):
            first = draw.randrange(1, 40)
            last, place = draw.randrange(first, 41), draw.choice(PLACES)
            with self.subTest(first=first, last=last, place=place):
                found = json_of(self, "replay", self.run_file, "--from", first, "--to", last, *place)
                self.assertEqual((found["equal"], found["records"], found["began_at_step"]), (True, last - first + 1, (first - 1) // 10 * 10))
        self.assertEqual(harness.tree(self.run_file.parent), before, "the run is not written")

    def test_settings_that_changed_on_the_way_change_in_the_replay(self):
        run_file = harness.write_run("changed", **{**CHANGES, "run": {"threads": 1, "steps": 40}})
        harness.kill_after(run_file, 13)
        expect(self, DONE, "train", run_file, "--set", "guards.window=50", "--set", "validation.every=7 steps")
        found = json_of(self, "replay", run_file, "--set", "guards.window=50", "--from", 5, "--to", 30, "--layout", "dp=2,pp=2")
        self.assertTrue(found["equal"] and found["records"] == 26 and found["checkpoints"] == 3, found)
        branch = harness.write_run("branch", **{**CHANGES, "optimizer": {"learning_rate": 1e-3}})
        expect(self, DONE, "train", branch, "--branch-from", f"{self.run_file.parent / 'run'}@20")
        self.assertTrue(json_of(self, "replay", branch, "--from", 25, "--to", 33)["equal"])

    def test_a_record_that_was_altered_is_named(self):
        run_file = self.copy("altered")
        altered_record(run_file, 17, "loss", 4.5)
        found = json_of(self, "replay", run_file, "--from", 12, "--to", 25, code=DAMAGED)
        self.assertEqual((found["record"]["step"], found["record"]["field"], found["record"]["recorded"]), (17, "loss", "4.5"))
        self.assertIsNone(found["checkpoint"], "the checkpoint of step 20 is what the steps give")
        shown = expect(self, DAMAGED, "replay", run_file, "--from", 12, "--to", 25).stdout
        self.assertIn("step 17: loss is ", shown)

    def test_damaged_files_are_named(self):
        run_file = self.copy("flipped")
        harness.flip_byte(run_file.parent / "run/checkpoints/step-00000020.g0/weights.safetensors", -9)
        for first in (15, 25):  # as the one to compare with, and as the one to begin with
            expect(self, DAMAGED, "replay", run_file, "--from", first, "--to", 28, says=["step-00000020.g0/weights.safetensors: damaged: tensor"])
        data = harness.SCRATCH / "flipped-data"
        shutil.copytree(harness.dataset(), data)
        harness.flip_byte(next((data / "train").glob("*.tokens")), -5)
        expect(self, DAMAGED, "replay", self.run_file, "--from", 5, "--to", 6, "--set", f"data.directory={data}", says=[str(data)])

    def test_windows_that_were_not_recorded_are_refused(self):
        harness.refused(self, ["no record of step 41; it has steps 1 to 40"], "replay", self.run_file, "--from", 30, "--to", 41)
        harness.refused(self, ["--from 5 --to 4"], "replay", self.run_file, "--from", 5, "--to", 4)


if __name__ == "__main__":
    unittest.main()
