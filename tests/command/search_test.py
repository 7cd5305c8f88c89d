#!/usr/bin/env python3
"""search as a user runs it, and a plan for one's own hardware from a few runs on it."""
import csv
import pathlib
import unittest

import harness
from harness import DONE, USAGE, expect, json_of

ROOT = pathlib.Path(__file__).resolve().parents[2]
GPT3 = ["search", "--model", "gpt3-175b", "--cluster", "a100x1024", "--set", "batch.sequence_length=2048",
        "--set", "batch.global_batch=1536", "--tokens", "300B"]


class Search(unittest.TestCase):
    def test_every_layout_is_bounded_or_simulated(self):
        out = json_of(self, *GPT3, "--json")
        self.assertGreaterEqual(out["considered"], 2000)
        self.assertEqual(out["considered"], out["bounded"]["total"] + out["simulated"])
        parts = {key: rows for key, rows in out["bounded"].items() if key != "total"}
        self.assertEqual(out["bounded"]["total"], sum(parts.values()))
        self.assertLess(out["search_seconds"], 10)  # acceptance on one core; a tenth of it on an idle machine
        steps = [row["step_seconds"] for row in out["best"]]
        self.assertEqual(steps, sorted(steps))
        self.assertEqual(len(steps), 10)
        brute = json_of(self, *GPT3, "--json", "--simulate-all")
        self.assertEqual(brute["best"], out["best"])
        self.assertEqual(brute["bounded"]["slower_at_best"], 0)

    def test_the_best_is_what_plan_says(self):
        best = json_of(self, *GPT3, "--json")["best"][0]
        plan = json_of(self, "plan", *GPT3[1:], "--layout", best["layout"], "--set", f"batch.micro_batch={best['micro_batch']}", "--json")
        self.assertAlmostEqual(plan["step"]["seconds"], best["step_seconds"], delta=1e-9 * best["step_seconds"])
        self.assertAlmostEqual(plan["memory"]["peak_bytes_per_rank"], best["peak_bytes_per_rank"], delta=1)
        self.assertAlmostEqual(plan["run"]["device_hours"], best["device_hours"], delta=1e-6 * best["device_hours"])

    def test_losers_have_reasons(self):
        out = json_of(self, *GPT3, "--json", "--all", "--allow", "tp=8,pp=8+16,virtual=1+5,zero=1,micro_batch=1+2")
        for row in out["layouts"]:
            if row["outcome"] in ("contradiction", "too_large"):
                self.assertTrue(row["reason"], row)
        why = lambda layout: expect(self, DONE, *GPT3, "--allow", "micro_batch=1", "--why", layout).stdout
        self.assertIn("needs", why("dp=128,tp=8,pp=1"))
        self.assertIn("% step time", why("dp=16,tp=8,pp=8,zero=1,sp=1,recompute=layer"))
        # Layouts that the space leaves out are judged too.
        self.assertIn("tp = 5", why("dp=16,tp=5,pp=16"))
        self.assertIn("1280 ranks, the cluster has 1024 devices", why("dp=16,tp=5,pp=16"))
        text = expect(self, DONE, *GPT3, "--by", "memory", "--max-tp", "4", "--max-pp", "32").stdout
        self.assertIn("the best by memory", text)
        self.assertNotIn("tp=8", text)

    def test_the_first_comes_with_its_plans_interval_and_warnings(self):
        first = json_of(self, *GPT3, "--json")
        low, high = (first["interval_of_first"]["seconds"][end] for end in ("low", "high"))
        self.assertTrue(low < first["best"][0]["step_seconds"] < high)
        done = expect(self, DONE, "search", "--model", "llama-3-8b", "--cluster", "h100x64", says=["time is uncalibrated"])
        self.assertIn("80 % interval of the first's step", done.stdout)

    def test_several_numbers_of_devices_share_a_batch(self):
        best = lambda *more: json_of(self, "search", "--model", "llama-3-8b", *more, "--top", "1", "--json")["best"][0]
        self.assertAlmostEqual(best("--cluster", "h100x64", "--devices", "24")["device_hours"],
                               best("--cluster", "h100x24")["device_hours"], delta=1)

    def test_bad_input(self):
        for says, *arguments in (
            ("--cluster", "search", "--model", "llama-3-8b"),
            ("nearest: tp", *GPT3, "--allow", "tq=4"),
            ("dp follows", *GPT3, "--allow", "dp=4"),
            ("must divide the devices", *GPT3, "--allow", "tp=3"),
            ("--memory 'lots'", *GPT3, "--memory", "lots"),
            ("--devices '64,x'", *GPT3, "--devices", "64,x"),
            ("write micro_batch=N", *GPT3, "--why", "dp=16,tp=8,pp=8 micro=2"),
            ("nearest: megatron-lm", *GPT3, "--framework", "megatron-ml"),
        ):
            done = expect(self, USAGE, *arguments, says=(says,))
            self.assertEqual(done.stdout, "")


class OwnRuns(unittest.TestCase):
    PLAN = ["plan", "--model", "mpt-7b", "--cluster", "h100x16", "--framework", "llm-foundry", "--layout", "dp=16,zero=3",
            "--set", "batch.sequence_length=2048", "--set", "batch.global_batch=256", "--set", "batch.micro_batch=2", "--json"]

    def test_a_table_moves_the_plan_towards_it(self):
        with open(ROOT / "tests/golden/runs.csv") as file:
            rows = [row for row in csv.DictReader(file)
                    if row["family"] == "llm-foundry" and "H100" in row["gpu"] and "fp8" not in row["precision"]][:6]
        for row in rows:  # a cluster on which everything takes a fifth longer
            if row["step_time_s"]:
                row["step_time_s"] = str(1.2 * float(row["step_time_s"]))
            if row["tokens_per_s_per_gpu"]:
                row["tokens_per_s_per_gpu"] = str(float(row["tokens_per_s_per_gpu"]) / 1.2)
        table = harness.SCRATCH / "own.csv"
        table.parent.mkdir(parents=True, exist_ok=True)
        with open(table, "w", newline="") as file:
            writer = csv.DictWriter(file, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)
        shipped = json_of(self, *self.PLAN)["step"]["seconds"]
        own = expect(self, DONE, *self.PLAN, "--from-runs", table)
        self.assertIn("median absolute error: step time", own.stderr)
        ratio = harness.json.loads(own.stdout)["step"]["seconds"] / shipped
        self.assertGreater(ratio, 1.1)
        self.assertLess(ratio, 1.3)
        interval = harness.json.loads(own.stdout)["step"]["interval_seconds"]
        self.assertGreaterEqual(interval["rows"], 15)  # a kind, not the few own runs

    def test_bad_tables(self):
        for name, text, says in (("none.csv", "id,family\n", "no column"), ("empty.csv", "", "")):
            table = harness.SCRATCH / name
            table.parent.mkdir(parents=True, exist_ok=True)
            table.write_text(text)
            expect(self, USAGE, *self.PLAN, "--from-runs", table, says=(says,))


if __name__ == "__main__":
    unittest.main()
