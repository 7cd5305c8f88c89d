#!/usr/bin/env python3
"""How a run starts: with the kernels that the user's cache knows or without, never waiting for a measurement; the plans its launches
leave; what is kept of the machine, where, and what is printed while something takes long."""
import json
import pathlib
import unittest

import harness
from harness import DONE, events, expect, json_of

SHORT = {"run": {"steps": 6, "threads": 1, "family": "avx2"}, "checkpoint": {"every": "never"},
         "schedule": {"kind": "constant", "warmup_steps": 1}}  # so that run.steps may grow


def profiles(cache):
    return sorted((cache / "longhaul/profiles").glob("*.toml"))


def timings(run_file):
    return [json.loads(line)["timing"] for line in (run_file.parent / "run/ledger/metrics.jsonl").read_text().splitlines()]


class Start(unittest.TestCase):
    def setUp(self):
        self.cache = harness.SCRATCH / self.id().rpartition(".")[2]
        self.environment = {"XDG_CACHE_HOME": str(self.cache)}

    def run_longhaul(self, *arguments, **options):
        return expect(self, DONE, *arguments, environment=self.environment, **options)

    def document(self, *arguments):
        return json_of(self, *arguments, environment=self.environment)

    def test_a_run_without_a_profile_starts_with_a_plan_that_has_no_time(self):
        run_file = harness.write_run("unmeasured", **SHORT)
        self.run_longhaul("train", run_file)
        plan = json.loads((run_file.parent / "run/plan.json").read_text())
        harness.schemas.check(plan, "plan-machine.json")
        self.assertEqual(plan["rates"], "unmeasured")
        self.assertNotIn("step", plan)
        self.assertGreater(plan["memory"]["peak_bytes_per_rank"], plan["memory"]["arena_bytes"])
        self.assertTrue(all("mfu" not in timing for timing in timings(run_file)))
        (start,) = (event for event in events(run_file) if event["kind"] == "start")
        self.assertEqual((start["step"], start["plan"]), (1, "plan.json"))
        self.assertGreater(start["seconds"], 0)
        self.assertLess(start["resident_before_arena_bytes"], 100e6)
        self.assertEqual(profiles(self.cache), [], "a run this short leaves no time to measure in")

    def test_a_later_launch_with_a_profile_leaves_a_plan_of_its_own(self):
        run_file = harness.write_run("later", **SHORT)
        self.run_longhaul("train", run_file, "--set", "run.steps=3")
        first = (run_file.parent / "run/plan.json").read_bytes()
        planned = self.document("plan", run_file)
        self.run_longhaul("train", run_file)
        self.assertEqual((run_file.parent / "run/plan.json").read_bytes(), first, "no plan is overwritten")
        self.assertEqual(json.loads((run_file.parent / "run/plan-2.json").read_text()), planned)
        self.assertEqual(["mfu" in timing for timing in timings(run_file)], 3 * [False] + 3 * [True])
        self.assertEqual([event["plan"] for event in events(run_file) if event["kind"] == "start"], ["plan.json", "plan-2.json"])
        self.run_longhaul("train", run_file, "--set", "run.steps=7")
        self.assertTrue((run_file.parent / "run/plan-3.json").exists(), "another number of steps is another plan")
        self.run_longhaul("train", run_file, "--set", "run.steps=7")
        self.assertFalse((run_file.parent / "run/plan-4.json").exists(), "the same plan is written once")

    def test_plan_measures_once_and_says_how_long_ago(self):
        run_file = harness.write_run("age", **SHORT)
        first = self.run_longhaul("plan", run_file, "--json")
        self.assertNotIn("ago", first.stderr)
        (profile,) = profiles(self.cache)
        kept = profile.read_text()
        again = self.run_longhaul("plan", run_file, "--json", says=["rates measured", "ago", "--measure"])
        self.assertEqual(first.stdout, again.stdout, "nothing is measured")
        year = kept.replace(json.loads(first.stdout)["step"]["rates"].split()[1], "2020-01-01T00:00:00.000Z")
        profile.write_text(year)
        self.run_longhaul("plan", run_file, says=["rates measured 2", " d ", "ago"])
        self.run_longhaul("plan", run_file, "--set", "batch.micro_batch=1")  # other shapes: added
        self.assertGreater(len(profile.read_text()), len(year))
        self.assertIn("2020-01-01", profile.read_text(), "no younger than its oldest rate")
        self.assertNotIn("ago", self.run_longhaul("plan", run_file, "--measure").stderr)
        self.assertNotIn("2020-01-01", profile.read_text())

    def test_a_cache_that_is_damaged_or_missing_is_no_error(self):
        run_file = harness.write_run("damaged", **SHORT)
        self.run_longhaul("plan", run_file)
        (profile,) = profiles(self.cache)
        profile.write_text("[[compute]]\nkernels = ")
        self.assertNotIn("ago", self.run_longhaul("plan", run_file).stderr)
        self.run_longhaul("plan", run_file, says=["ago"])
        blocked = harness.SCRATCH / "a-file"
        blocked.write_text("no directory")
        for environment in ({"XDG_CACHE_HOME": "", "HOME": ""}, {"XDG_CACHE_HOME": str(blocked)}, {"XDG_CACHE_HOME": "", "HOME": "/proc/none"}):
            with self.subTest(environment):
                self.environment = environment
                self.assertNotIn("ago", self.run_longhaul("plan", run_file).stderr)
        self.run_longhaul("train", run_file)

    def test_a_calibrated_machine_needs_no_measurement_and_long_work_says_what_it_does(self):
        log = self.run_longhaul("calibrate", "--order", "dp2", "--family", "avx2", "--threads", "1", says=["measuring kernels", "(after 2.00 s)"]).stderr
        self.assertNotIn("\r", log)
        self.assertEqual(len(profiles(self.cache)), 1)
        self.run_longhaul("plan", harness.write_run("calibrated", **SHORT), says=["ago"])
        out = harness.SCRATCH / "calibrated.toml"
        self.cache = harness.SCRATCH / "untouched"
        self.environment = {"XDG_CACHE_HOME": str(self.cache)}
        self.run_longhaul("calibrate", "--order", "fma", "--family", "avx2", "--threads", "1", "--out", out)
        self.assertTrue(out.exists())
        self.assertEqual(profiles(self.cache), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
