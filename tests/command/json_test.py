#!/usr/bin/env python3
"""What --json promises: one nested document on standard output, with these keys; everything else goes to standard error."""
import json
import os
import pathlib
import subprocess
import unittest

import harness
from harness import DONE, FAILED, expect, json_of

GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden"
MODELS = pathlib.Path(__file__).resolve().parents[2] / "examples/models"


def at(document, dotted):
    for key in dotted.split("."):
        document = document[key]
    return document


class Json(unittest.TestCase):
    def test_every_verb_explains_itself_with_an_example(self):
        self.assertLessEqual({"plan", "data prepare", "tokenizer convert", "debug batches"}, set(harness.verbs()))
        for verb in harness.verbs():
            with self.subTest(verb):
                shown = expect(self, DONE, *verb.split(), "--help").stdout
                self.assertIn(f"longhaul {verb}", shown)

    def test_plan(self):
        document = json_of(self, "plan", harness.write_run("plan"))
        # tied? no: embedding and head 2·512·64, final norm 64, two layers of q, k, v, o, three MLP matrices and two norms.
        layer = 64 * 64 * 2 + 2 * 64 * 32 + 3 * 64 * 176 + 2 * 64
        self.assertEqual(at(document, "parameters.total"), 2 * 512 * 64 + 64 + 2 * layer)
        self.assertGreater(at(document, "memory.peak_bytes_per_rank"), 16 * at(document, "parameters.total"))
        step = document["step"]
        self.assertGreater(step["seconds"], 0)
        self.assertEqual(step["threads"], harness.RUN["run"]["threads"])
        for parts in (step["operation_seconds"], step["phase_seconds"]):
            self.assertAlmostEqual(sum(parts.values()), step["seconds"], delta=1e-6 * step["seconds"])

    def test_plan_from_a_profile(self):
        profile = harness.SCRATCH / "machine.toml"
        document = json_of(self, "calibrate", "--order", "dp2", "--family", "avx2", "--threads", "1", "--out", profile)
        (rates,) = document["compute"]
        self.assertGreater(len(rates["kernels"]), 100)
        run_file = harness.write_run("profile", run={"threads": 1, "family": "avx2"})
        first, again = (json_of(self, "plan", run_file, "--profile", profile) for _ in range(2))
        self.assertEqual(first, again, "nothing is measured")
        self.assertGreater(at(first, "step.seconds"), 0)
        expect(self, harness.USAGE, "plan", run_file, "--set", "run.threads=2", "--profile", profile, says=["2 threads", "calibrate"])

    def test_more_threads_than_processors_are_warned_of(self):
        shown = expect(self, DONE, "plan", harness.write_run("threads"), "--set", f"run.threads={os.cpu_count() + 1}")
        self.assertIn(f"warning: run.threads = {os.cpu_count() + 1}", shown.stderr)
        self.assertIn(f"on {os.cpu_count() + 1} threads", shown.stdout)

    def test_report_sets_plan_beside_measurement(self):
        run_file = harness.write_run("report", run={"steps": 12}, validation={"max_tokens": 0})
        expect(self, DONE, "plan", run_file)  # measures the kernels
        expect(self, DONE, "train", run_file)
        document = json_of(self, "report", run_file)
        page = pathlib.Path(document["report"]).read_text()
        comparison = document["comparison"]
        self.assertEqual(at(comparison, "model.parameters.ratio"), 1)
        self.assertEqual(at(comparison, "memory.arena.ratio"), 1)
        self.assertEqual(at(comparison, "memory.arena_high_water.ratio"), 1)
        self.assertGreater(at(comparison, "memory.growth.ratio"), 0.8)
        for part in ("step", "phase", "operation"):
            for name, line in comparison[part].items():
                if line["ratio"] is not None:
                    self.assertAlmostEqual(line["ratio"], line["planned"] / line["measured"])
        operations = comparison["operation"]
        self.assertTrue(all(line["measured"] for line in operations.values()), operations)
        plan = json.loads((run_file.parent / "run/plan.json").read_text())
        self.assertEqual({name: line["planned"] for name, line in operations.items()}, plan["step"]["operation_seconds"])
        self.assertEqual(set(comparison["phase"]) - {"data", "other"}, set(plan["step"]["phase_seconds"]))
        text = expect(self, DONE, "report", run_file).stdout
        for name in ("parameters", "growth", "tokens_per_s", "backward", "mlp_up.bwd"):
            self.assertIn(name, text)
            self.assertIn(name, page)

    def test_plan_of_a_published_model(self):
        for name, parameters in (("gpt2-124m", 124_439_808), ("llama-2-7b", 6_738_415_616), ("llama-3.1-405b", 405_853_388_800)):
            with self.subTest(name):
                self.assertEqual(at(json_of(self, "plan", "--model", name), "parameters.total"), parameters)

    def test_train_summary_is_the_last_record(self):
        run_file = harness.write_run("train", run={"steps": 20}, validation={"max_tokens": 0})
        document = json_of(self, "train", run_file)
        last = harness.results(run_file)[-1]
        self.assertEqual(document["steps"], 20)
        self.assertEqual(document["tokens"], 20 * 8 * 96)
        self.assertEqual(document["final_loss"], last["loss"])
        self.assertEqual(document["state_hash"], last["state_hash"])
        self.assertEqual(document["validation_loss"], last["validation_loss"])
        self.assertEqual(document["bits_per_byte"], last["bits_per_byte"])
        self.assertEqual(document["stop"], "finished")
        self.assertIsNone(document["resumed_from_step"])

    def test_phases_add_up_to_the_step(self):
        run_file = harness.write_run("phases", run={"steps": 12})
        expect(self, DONE, "train", run_file)
        for line in (run_file.parent / "run/ledger/metrics.jsonl").read_text().splitlines():
            timing = json.loads(line)["timing"]
            phases = timing["phase_seconds"]
            self.assertAlmostEqual(sum(phases.values()), timing["step_seconds"], delta=0.01 * timing["step_seconds"])
            # "other" is what is left of the step: it must not be where the time goes, nor below nothing.
            self.assertGreaterEqual(phases["other"], -1e-6)
            self.assertLess(phases["other"], 0.5 * timing["step_seconds"] + 0.05)
            self.assertGreater(phases["forward"] + phases["backward"], 0)

    def test_evaluation_agrees_with_the_run(self):
        run_file = harness.write_run("eval", run={"steps": 10}, validation={"max_tokens": 0})
        trained = json_of(self, "train", run_file)
        document = json_of(self, "eval", run_file)
        self.assertEqual(document["loss"], trained["validation_loss"])
        self.assertEqual(document["bits_per_byte"], trained["bits_per_byte"])

    def test_generation_is_a_function_of_its_seed(self):
        run_file = harness.write_run("generate", run={"steps": 5})
        expect(self, DONE, "train", run_file)
        arguments = ["generate", run_file, "--prompt", "a", "--tokens", "20", "--seed", "3"]
        first, again = (expect(self, DONE, *arguments).stdout for _ in range(2))
        self.assertEqual(first, again)
        self.assertNotEqual(first, expect(self, DONE, *arguments[:-1], "4").stdout)

    def test_bench_step(self):
        run_file = harness.write_run("bench")
        document = json_of(self, "bench", "step", run_file)
        for key in ("tokens_per_s", "quiet_step_seconds", "mfu_measured_peak", "peak_flops", "peak_memory_bytes"):
            self.assertGreater(document[key], 0, key)
        self.assertLess(document["mfu_measured_peak"], 1)

    def test_config_prints_what_it_reads_back(self):
        run_file = harness.write_run("config")
        shown = expect(self, DONE, "config", run_file).stdout
        self.assertIn("run.toml:", shown, "each value names its origin")
        again = harness.SCRATCH / "config/resolved.toml"
        again.write_text(shown)
        first, second = json_of(self, "plan", run_file), json_of(self, "plan", again)
        for part in ("parameters", "memory"):  # the rest holds times measured now
            self.assertEqual(first[part], second[part])

    def test_a_document_that_cannot_be_written_is_a_failure(self):
        for arguments in (["cluster", "list", "--json"], ["cluster", "list"], ["config", "--options", "--json"]):
            with self.subTest(arguments), open("/dev/full", "w") as full:
                done = subprocess.run([harness.LONGHAUL, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
                self.assertEqual(done.returncode, FAILED)
                # Text longer than stdio's buffer fails in the write itself, the rest at the end.
                self.assertRegex(done.stderr, "standard output could not be written|No space left on device")

    def test_bytes_that_are_no_text_are_replaced(self):
        table = harness.SCRATCH / "latin.csv"
        head, row = (GOLDEN / "runs.csv").read_bytes().splitlines()[:2]
        table.write_bytes(head + b"\ncaf\xe9" + row[row.index(b","):] + b"\n")
        self.assertEqual(json_of(self, "validate", table, "--rows")["rows"][0]["id"], "caf\ufffd")

    def test_config_lists_options_and_models(self):
        resolved = json_of(self, "config", "--model", "gpt2-124m")
        options = json_of(self, "config", "--options")["options"]
        tables = {name for name, table in resolved.items() if isinstance(table, dict)}
        self.assertEqual({(o["table"], o["key"]) for o in options}, {(name, key) for name in tables for key in resolved[name]})
        for option in options:
            self.assertEqual(option["default"] is None, option["computed"] is not None, option)
        self.assertEqual(json_of(self, "config", "--models")["models"], sorted(path.stem for path in MODELS.glob("*.toml")))

    def test_debug_batches_says_the_shape(self):
        run_file = harness.write_run("batches")
        out = harness.SCRATCH / "batches.safetensors"
        document = json_of(self, "debug", "batches", run_file, "--steps", "3", "--out", out)
        header = json.loads(out.read_bytes()[8:][:int.from_bytes(out.read_bytes()[:8], "little")])
        self.assertEqual(header["tokens"]["shape"], [document[key] for key in ("steps", "global_batch", "sequence_length")])

    def test_tokenizer_round_trip(self):
        text = "The whale — naïve, 鯨, 🐋 — swam 1,000 miles.\n"
        tokenizer = harness.dataset() / "tokenizer.json"
        ids = expect(self, DONE, "tokenizer", "encode", "--tokenizer", tokenizer, input=text).stdout
        self.assertEqual(expect(self, DONE, "tokenizer", "decode", "--tokenizer", tokenizer, input=ids).stdout, text)


if __name__ == "__main__":
    unittest.main(verbosity=2)
