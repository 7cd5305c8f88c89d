#!/usr/bin/env python3
"""A run on many ranks is the run on one: every record, every hash, wherever it is stopped and however it goes on.

LONGHAUL_RANK_PAIRS (default 4) pairs of layouts are drawn for the resumes, with the seed LONGHAUL_RANK_SEED (default 1).
"""
import functools
import json
import os
import random
import signal
import unittest

import harness
from harness import DONE, PREEMPTED, expect, json_of

CHANGES = {
    "run": {"threads": 1},
    "batch": {"micro_batch": 1, "virtual_ranks": 8},
    "model": {"layers": 4, "tied_embeddings": True},
    "validation": {"prompt": "abc", "prompt_tokens": 4},
    "log": {"tensors_every": "7 steps"},
}
LAYOUTS = ["dp=2", "dp=8", "dp=3,zero=1", "dp=5,zero=2", "dp=3,pp=2,zero=3", "pp=4,schedule=zb-h1", "pp=4,schedule=zb-h2,recompute=layer",
           "dp=2,pp=2,virtual=2,zero=1", "dp=4,pp=2,zero=2,shard=2,schedule=gpipe", "dp=4,zero=3,shard=2,recompute=layer",
           "dp=2,pp=3,stages=3+0+1,zero=3", "virtual=2"]


@functools.lru_cache(maxsize=None)
def straight():
    run_file = harness.write_run("straight", **CHANGES)
    return harness.results(run_file) if expect(unittest.TestCase(), DONE, "train", run_file) else None


def ranks_of(layout):
    sizes = dict(part.split("=") for part in layout.split(","))
    return int(sizes.get("dp", 1)) * int(sizes.get("pp", 1))


class Ranks(unittest.TestCase):
    def expect_same(self, run_file):
        found = harness.results(run_file)
        self.assertTrue(any("passage" in r for r in found) and any("tensors" in r for r in found))
        for record, wanted in zip(found, straight()):
            self.assertEqual(record, wanted, f"step {wanted['step']}")
        self.assertEqual(len(found), len(straight()))

    def test_every_layout_gives_the_records_of_one_rank(self):
        for layout in LAYOUTS:
            with self.subTest(layout=layout):
                run_file = harness.write_run(f"layout-{layout}", **CHANGES)
                summary = json_of(self, "train", run_file, "--layout", layout, "--ranks", ranks_of(layout))
                self.expect_same(run_file)
                self.assertEqual(summary["state_hash"], straight()[-1]["state_hash"])

    def test_ranks_alone_are_data_parallel(self):
        run_file = harness.write_run("four", **CHANGES)
        expect(self, DONE, "train", run_file, "--ranks", 4)
        self.expect_same(run_file)
        launch = [e for e in harness.events(run_file) if e["kind"] == "launch"][0]
        self.assertEqual((launch["ranks"], launch["layout"]), (4, "dp=4,tp=1,pp=1"))

    def test_each_ranks_account_is_in_the_ledger_and_the_report(self):
        run_file = harness.write_run("account", **{**CHANGES, "run": {"threads": 1, "steps": 12}})
        expect(self, DONE, "train", run_file, "--layout", "dp=3,pp=2,zero=1")
        ranks = [e for e in harness.events(run_file) if e["kind"] == "ranks"][0]["ranks"]
        self.assertEqual([(r["rank"], r["dp"], r["pp"]) for r in ranks], [(i, i % 3, i // 3) for i in range(6)])
        for rank in ranks:
            self.assertEqual({c: b["counted"] for c, b in rank["sent_bytes"].items()}, {c: b["planned"] for c, b in rank["sent_bytes"].items()})
            self.assertLess(rank["arena_bytes"] - rank["arena_high_water_bytes"], 64)
            self.assertGreater(rank["seconds"]["backward"], 0)
        expect(self, DONE, "report", run_file)
        self.assertIn("<h2>Ranks</h2>", (run_file.parent / "run/report.html").read_text())

    def test_a_traced_step_has_every_operation_of_every_rank(self):
        run_file = harness.write_run("traced", **{**CHANGES, "run": {"threads": 1, "steps": 4}})
        expect(self, DONE, "train", run_file, "--layout", "dp=2,pp=2,zero=2", "--trace", 3, says=["trace-3.json"])
        events = json.loads((run_file.parent / "run/trace-3.json").read_text())["traceEvents"]
        slices = [e for e in events if e["ph"] == "X"]
        self.assertEqual({e["pid"] for e in slices}, {0, 1, 2, 3})
        self.assertLess({"mb0/s0/L0/attn.fwd", "mb0/s1/receive.fwd", "s0/L1/gradients.reduce_scatter", "s1/update"}, {e["name"] for e in slices})
        for rank in range(4):
            own = [e for e in slices if e["pid"] == rank]
            for before, after in zip(own, own[1:]):
                self.assertGreaterEqual(after["ts"] + 0.01, before["ts"] + before["dur"], (before, after))

    def test_wrong_numbers_of_ranks_are_refused(self):
        run_file = harness.write_run("wrong", **CHANGES)
        harness.refused(self, ["--ranks 9", "V = 8 virtual ranks", "--layout dp=8,pp=2"], "train", run_file, "--ranks", 9)
        harness.refused(self, ["--ranks 3: the layout dp=2,tp=1,pp=2 has 4 ranks"], "train", run_file, "--ranks", 3, "--layout", "dp=2,pp=2")
        harness.refused(self, ["parallel.tp = 2", "planned and not trained"], "train", run_file, "--layout", "tp=2")
        harness.refused(self, ["pp·virtual = 8 stages for 4 layers leaves stages empty"], "train", run_file, "--layout", "pp=8")

    def test_stopped_in_one_layout_and_resumed_in_another(self):
        draw = random.Random(int(os.environ.get("LONGHAUL_RANK_SEED", "1")))
        for i in range(int(os.environ.get("LONGHAUL_RANK_PAIRS", "4"))):
            first, second = draw.sample(LAYOUTS + ["dp=1"], 2)
            how, step = draw.choice([signal.SIGKILL, signal.SIGTERM]), draw.randrange(11, 36)
            with self.subTest(first=first, second=second, how=how.name, step=step):
                run_file = harness.write_run(f"pair-{i}", **CHANGES)
                process = harness.start("train", run_file, "--layout", first)
                harness.wait_until(lambda: harness.steps_recorded(run_file) >= step, process, f"step {step}")
                process.send_signal(how)
                self.assertIn(process.wait(), (-signal.SIGKILL, PREEMPTED))
                summary = json_of(self, "train", run_file, "--layout", second)
                self.assertGreaterEqual(summary["resumed_from_step"], 10)
                self.expect_same(run_file)

    def test_a_branch_begins_and_goes_on_in_any_layout(self):
        parent = harness.write_run("parent", **CHANGES)
        expect(self, DONE, "train", parent)
        lower = {**CHANGES, "optimizer": {"learning_rate": 1e-3}}
        states = set()
        for layout in ("dp=1", "dp=3,pp=2,zero=3"):
            run_file = harness.write_run(f"branch-{layout}", **lower)
            states.add(json_of(self, "train", run_file, "--branch-from", f"{parent.parent / 'run'}@20", "--layout", layout)["state_hash"])
        self.assertEqual(len(states), 1)

    def test_what_one_rank_does_alone_reads_a_run_of_many(self):
        run_file = harness.write_run("many", **{**CHANGES, "parallel": {"dp": 2, "pp": 2, "zero": 2}, "run": {"threads": 1, "steps": 10}})
        trained = json_of(self, "train", run_file)
        self.assertEqual(json_of(self, "eval", run_file)["loss"], trained["validation_loss"])
        expect(self, DONE, "generate", run_file, "--prompt", "abc", "--tokens", 4)


if __name__ == "__main__":
    unittest.main()
