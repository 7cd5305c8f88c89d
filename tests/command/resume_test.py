#!/usr/bin/env python3
"""A run that was stopped anywhere and resumed is the run that was never stopped: every record, every hash.

Each test trains 40 steps straight once more under its own configuration or uses the common one, stops another run in some way, resumes
it, perhaps with other threads and another instruction set, and compares the `result` records (they hold losses, norms, validation
losses and state hashes) and the final state hash.
"""
import functools
import json
import os
import shutil
import signal
import unittest

import harness
from harness import DONE, PREEMPTED, expect, json_of

SHIM = os.environ.get("LONGHAUL_STOP_SHIM", "")
OTHER_MACHINE = ["--set", "run.threads=1", "--set", "run.family=avx2"]
CONFIGURATIONS = {
    "common": {},
    "no-isolation": {"data": {"isolate_documents": False}, "optimizer": {"ema_beta": 0.0}},
    "recompute-fp32": {"parallel": {"recompute": "layer"}, "precision": {"dtype": "fp32", "order": "fma"}},
}


@functools.lru_cache(maxsize=None)
def straight(name):
    """Results and summary of 40 steps without a stop."""
    run_file = harness.write_run(f"straight-{name}", **CONFIGURATIONS[name])
    summary = json_of(unittest.TestCase(), "train", run_file)
    return harness.results(run_file), summary


class Resume(unittest.TestCase):
    def expect_same(self, name, run_file, summary):
        records, wanted = straight(name)
        self.assertEqual([r["step"] for r in records], list(range(1, 41)))
        self.assertTrue(any("state_hash" in r for r in records) and any("validation_loss" in r for r in records))
        self.assertEqual(harness.results(run_file), records)
        for key in ("steps", "tokens", "final_loss", "validation_loss", "bits_per_byte", "state_hash"):
            self.assertEqual(summary[key], wanted[key], key)

    def killed_and_resumed(self, name, label, stop_after, *arguments):
        run_file = harness.write_run(f"{label}-{name}", **CONFIGURATIONS[name])
        harness.kill_after(run_file, stop_after)
        newest = int(harness.commits(run_file)[-1].split("-")[1].split(".")[0])
        summary = json_of(self, "train", run_file, *arguments)
        self.assertEqual(summary["resumed_from_step"], newest)
        self.assertGreaterEqual(newest, 20)
        self.expect_same(name, run_file, summary)

    def test_killed_after_20_steps(self):
        self.killed_and_resumed("common", "killed", 23)

    def test_resumed_with_one_thread_and_another_instruction_set(self):
        self.killed_and_resumed("common", "elsewhere", 22, *OTHER_MACHINE)

    def test_documents_not_isolated_and_no_average(self):
        self.killed_and_resumed("no-isolation", "killed", 23, *OTHER_MACHINE)

    def test_recompute_in_fp32(self):
        self.killed_and_resumed("recompute-fp32", "killed", 23, *OTHER_MACHINE)

    def test_recompute_reaches_no_bit(self):
        """A run may begin without recomputation and go on with it."""
        self.killed_and_resumed("common", "recompute-later", 22, "--set", "parallel.recompute=layer")

    def test_stopped_while_saving(self):
        """kill -9 when the second save is all written but not yet published: the first one is used."""
        for stop in ("rename", "fsync"):
            with self.subTest(stop):
                run_file = harness.write_run(f"mid-save-{stop}")
                self.assertTrue(os.path.exists(SHIM), f"no {SHIM}; run through ctest")
                process = harness.start("train", run_file,
                                        environment={"LD_PRELOAD": SHIM, "LONGHAUL_STOP_AT": f"{stop}:step-00000020"})
                self.assertEqual(process.wait(240), -signal.SIGKILL, process.log.read_text())
                self.assertEqual(harness.commits(run_file), ["step-00000010.g0"])
                summary = json_of(self, "train", run_file)
                self.assertEqual(summary["resumed_from_step"], 10)
                self.expect_same("common", run_file, summary)
                everything = sorted(p.name for p in (run_file.parent / "run/checkpoints").iterdir())
                self.assertEqual(everything, harness.commits(run_file), "what the killed save left is gone")

    def test_sigterm_saves_and_asks_to_be_requeued(self):
        run_file = harness.write_run("sigterm")
        process = harness.start("train", run_file, "--json")
        harness.wait_until(lambda: harness.steps_recorded(run_file) >= 13, process, "step 13")
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(240), PREEMPTED, process.log.read_text())
        said = process.log.read_text()
        self.assertEqual(json.loads(said[said.rindex("\n{"):])["stop"], "signal")
        saved = int(harness.commits(run_file)[-1].split("-")[1].split(".")[0])
        self.assertEqual(saved, harness.steps_recorded(run_file), "the save is of the last step done")
        summary = json_of(self, "train", run_file)
        self.assertEqual(summary["resumed_from_step"], saved)
        self.expect_same("common", run_file, summary)

    def test_a_finished_run_is_not_trained_again(self):
        records, wanted = straight("common")
        run_file = harness.SCRATCH / "straight-common/run.toml"
        again = json_of(self, "train", run_file)
        for key in ("steps", "tokens", "final_loss", "validation_loss", "bits_per_byte", "state_hash"):
            self.assertEqual(again[key], wanted[key], key)
        self.assertEqual(harness.results(run_file), records)

    def test_a_fresh_run_in_an_old_directory_says_its_own_end(self):
        run_file = harness.write_run("anew", run={"steps": 12}, checkpoint={"every": "6 steps"})
        first = json_of(self, "train", run_file)
        shutil.rmtree(run_file.parent / "run/checkpoints")
        second = json_of(self, "train", run_file, "--set", "optimizer.learning_rate=0.001")
        self.assertNotEqual(first["state_hash"], second["state_hash"])
        self.assertEqual(second["validation_loss"], json_of(self, "eval", run_file, "--set", "optimizer.learning_rate=0.001")["loss"])

    def test_a_damaged_old_record_does_not_stop_a_resume(self):
        run_file = harness.write_run("old-record", run={"steps": 20})
        expect(self, DONE, "train", run_file)
        metrics = run_file.parent / "run/ledger/metrics.jsonl"
        text = metrics.read_text()
        metrics.write_text(text.replace('"loss"', '"lass"', 1))
        shutil.rmtree(run_file.parent / "run/checkpoints/step-00000020.g0")
        self.assertEqual(json_of(self, "train", run_file)["resumed_from_step"], 10)

    def test_a_constant_schedule_grows(self):
        """Its warm-up follows from the steps at first; it is the run's own from then on."""
        run_file = harness.write_run("grows", run={"steps": 20}, schedule={"kind": "constant", "warmup_steps": 0})
        text = run_file.read_text().replace("warmup_steps = 0\n", "")
        run_file.write_text(text)
        expect(self, DONE, "train", run_file)
        self.assertEqual(json_of(self, "train", run_file, "--set", "run.steps=60")["resumed_from_step"], 20)

    def test_discarded_records_are_kept_aside(self):
        run_file = harness.write_run("discarded")
        harness.kill_after(run_file, 15)
        expect(self, DONE, "train", run_file)
        aside = list((run_file.parent / "run/ledger").glob("discarded-*.jsonl"))
        self.assertEqual(len(aside), 1)
        self.assertGreaterEqual(aside[0].read_bytes().count(b"\n"), 5)

    def test_data_seed_and_rates_reach_the_hash(self):
        """The comparison above can fail: another seed gives other records."""
        run_file = harness.write_run("other-seed", run={"seed": 8})
        json_of(self, "train", run_file)
        self.assertNotEqual(harness.results(run_file), straight("common")[0])


if __name__ == "__main__":
    unittest.main(verbosity=2)
