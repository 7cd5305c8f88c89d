#!/usr/bin/env python3
"""Other systems' configurations and other people's claims, as a user asks: hf, emit, audit-claim. No hostile file or number gets further
than a sentence."""
import json
import os
import pathlib
import subprocess
import sys
import unittest

import harness
from harness import DONE, USAGE, expect, json_of

ROOT = pathlib.Path(__file__).resolve().parents[2]
RUN = ["--model", "llama-3-8b", "--cluster", "h100x64", "--set", "batch.sequence_length=8192", "--set", "batch.global_batch=128"]
LAYOUT = ["--layout", "dp=16,tp=4,zero=1,sp=1"]


def write(name, document):
    path = harness.SCRATCH / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def refused(test, says, *arguments):
    done = expect(test, USAGE, *arguments, says=says)
    test.assertEqual(done.stdout, "")
    test.assertLess(len(done.stderr), 2000, done.stderr)


class HuggingFace(unittest.TestCase):
    def test_a_config_is_counted_and_becomes_a_model_file(self):
        path = write("TinyLlama/config.json", {"model_type": "llama", "num_hidden_layers": 22, "hidden_size": 2048, "num_key_value_heads": 4,
                                                "intermediate_size": 5632, "rms_norm_eps": 1e-5})
        out = harness.SCRATCH / "tiny.toml"
        document = json_of(self, "hf", path, "--out", out)
        self.assertEqual(document["parameters"]["total"], 1_100_048_384)  # TinyLlama's, tests/golden/model_parameters.csv
        self.assertIn("vocab_size = 32000", document["assumed"])
        by_config, by_file, published = (json_of(self, "plan", "--model", model, "--cluster", "a100x8") for model in (path, out, "tinyllama-1.1b"))
        self.assertEqual(by_config["parameters"], published["parameters"])
        self.assertEqual(by_file["parameters"], published["parameters"])
        self.assertIn("1,100,048,384", expect(self, DONE, "hf", path).stdout)

    def test_what_differs_is_said_wherever_a_model_is_taken(self):
        path = write("mistral/config.json", {"model_type": "mistral", "hiden_size": 3})
        shown = expect(self, DONE, "hf", path).stdout
        self.assertIn("sliding_window = 4096", shown)
        self.assertIn("did you mean hidden_size?", shown)
        self.assertEqual(expect(self, DONE, "plan", "--model", path, "--cluster", "a100x8").stderr.count("sliding_window = 4096"), 1)

    def test_sequence_lengths(self):
        path = write("gpt2.json", {"model_type": "gpt2"})
        self.assertEqual(json_of(self, "hf", path)["sequence_length"], 1024)
        self.assertLess(json_of(self, "hf", path, "--sequence-length", 128)["flops"]["per_token"], json_of(self, "hf", path)["flops"]["per_token"])
        refused(self, ["1024 learned positions"], "hf", path, "--sequence-length", 2048)

    def test_hostile_files(self):
        for name, text, says in (("no-json", "{", "not valid JSON"), ("deep", "[" * 100, "64 levels"), ("list", "[]", "an object"),
                                 ("twice", '{"model_type":"llama","model_type":"llama"}', "twice"), ("empty", "", "not valid JSON"),
                                 ("kind", {"model_type": "bert"}, "allowed are llama, gpt2"), ("minus", {"model_type": "llama", "hidden_size": -8}, "hidden_size = -8"),
                                 ("absurd", '{"model_type":"llama","hidden_size":1e30}', "hidden_size = 1e+30"),
                                 ("infinite", '{"model_type":"llama","hidden_size":1e999}', "not valid JSON"),
                                 ("nan", '{"model_type":"llama","rms_norm_eps":NaN}', "not valid JSON"),
                                 ("huge", {"model_type": "llama", "hidden_size": 2**26, "intermediate_size": 2**26, "num_hidden_layers": 2**18,
                                           "num_attention_heads": 1}, "too large to count"),
                                 ("escape", '{"model_type":"\\u001b[2J"}', "model_type")):
            with self.subTest(name):
                path = write(f"hostile/{name}.json", text)
                out = harness.SCRATCH / f"{name}.toml"
                refused(self, [says], "hf", path, "--out", out)
                self.assertFalse(out.exists())
                refused(self, [says], "plan", "--model", path, "--cluster", "h100x8")
        big = write("big.json", '{"model_type": "llama", "x": "' + "x" * (17 << 20) + '"}')
        self.assertIn("16", harness.run_program("hf", big).stderr)
        self.assertNotEqual(harness.run_program("hf", harness.SCRATCH / "nowhere.json").returncode, DONE)


class Emitting(unittest.TestCase):
    def test_the_text_is_the_file(self):
        out = harness.SCRATCH / "run.sh"
        shown = expect(self, DONE, "emit", "--for", "megatron", *RUN, *LAYOUT).stdout
        self.assertEqual(expect(self, DONE, "emit", "--for", "megatron", *RUN, *LAYOUT, "--out", out).stdout, "")
        self.assertEqual(out.read_text(), shown)
        self.assertEqual(subprocess.run(["bash", "-n", out]).returncode, 0)
        self.assertIn("core 0.16", shown)

    def test_the_script_starts_torchrun_with_what_json_says(self):
        fake = harness.SCRATCH / "bin"
        fake.mkdir(exist_ok=True)
        (fake / "torchrun").write_text('#!/bin/sh\nprintf "%s\\n" "${CUDA_DEVICE_MAX_CONNECTIONS-unset}" "$@"\n')
        (fake / "torchrun").chmod(0o755)
        environment = {"PATH": f"{fake}:/usr/bin:/bin", "CUDA_DEVICE_MAX_CONNECTIONS": "8"}
        for layout, connections in ((LAYOUT[1], "1"), ("dp=64,zero=3", "unset"), ("dp=8,pp=8,stages=5+4+4+4+4+4+4+3,zero=1", "8")):
            document = json_of(self, "emit", "--for", "megatron", *RUN, "--layout", layout)
            ran = subprocess.run(["bash", "-c", document["text"], "run.sh", "--data-path", "x y"], capture_output=True, text=True, env=environment)
            words = ran.stdout.splitlines()
            self.assertEqual(words[0], connections, ran.stderr)
            flags = [word for flag in document["settings"]["flags"] for word in flag]
            self.assertEqual(words[words.index("pretrain_gpt.py") + 1:], [*flags, "--data-path", "x y"])
            self.assertGreater(int(flags[flags.index("--seed") + 1]), 0)

    def test_what_a_config_json_says_beyond_the_plan_is_in_the_file(self):
        path = write("llama31/config.json", {"model_type": "llama", "num_key_value_heads": 8, "intermediate_size": 14336, "rope_scaling": {
            "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}})
        for system, says in (("megatron", "--use-rope-scaling --rope-scaling-factor 8 "), ("torchtitan", 'scaling="llama", scaling_factor=8,')):
            shown = expect(self, DONE, "emit", "--for", system, "--model", path, "--cluster", "h100x8", "--layout", "dp=8").stdout
            self.assertIn('# - model: rope_type = "llama3"', shown)
            self.assertIn(says, shown)

    def test_python_is_python(self):
        out = harness.SCRATCH / "titan.py"
        expect(self, DONE, "emit", "--for", "torchtitan", *RUN, "--layout", "dp=16,tp=4,zero=3,sp=1", "--out", out)
        self.assertIn("--module titan --config train", out.read_text())
        compile(out.read_text(), "titan.py", "exec")

    def test_there_are_as_many_processes_as_devices(self):
        for system, layout in (("megatron", "dp=12"), ("torchtitan", "dp=12"), ("torchtitan", "dp=3,tp=4")):
            document = json_of(self, "emit", "--for", system, "--model", "llama-3-8b", "--cluster", "h100x12", "--layout", layout, "--set",
                               "batch.global_batch=12")
            self.assertEqual(document["processes_per_node"] * document["nodes"], 12)
            self.assertIn(f"--nproc-per-node {document['processes_per_node']} --nnodes {document['nodes']} ", document["text"])
            self.assertIn("the plan assumes 1 of 8 and one of 4", "".join(document["not_expressed"]))

    def test_what_does_not_fit_is_said_in_the_file(self):
        large = ["emit", "--for", "megatron", "--model", "gpt3-175b", "--cluster", "h100x64", "--layout", "dp=64"]
        done = expect(self, DONE, *large, says=["does not fit"])
        self.assertIn("does NOT FIT", done.stdout)
        self.assertFalse(json_of(self, *large, "--json")["fits"])
        self.assertTrue(json_of(self, "emit", "--for", "megatron", *RUN, *LAYOUT, "--json")["fits"])

    def test_tokens_decide_the_steps(self):
        for tokens, steps in (("104857600", 100), ("104857601", 101), ("300B", 286_103)):
            self.assertEqual(json_of(self, "emit", "--for", "megatron", *RUN, *LAYOUT, "--tokens", tokens)["steps"], steps)

    def test_without_a_layout_it_is_the_one_that_search_finds(self):
        run = ["--model", "llama-3-8b", "--cluster", "h100x8", "--set", "batch.global_batch=16"]
        best = json_of(self, "search", *run, "--framework", "torchtitan", "--top", 1)["best"][0]
        document = json_of(self, "emit", "--for", "torchtitan", *run)
        self.assertEqual((document["layout"], document["micro_batch"]), (best["layout"], best["micro_batch"]))

    def test_what_cannot_be_emitted(self):
        refused(self, ["nearest: megatron"], "emit", "--for", "megatrn", *RUN)
        refused(self, ["norm = layer_norm"], "emit", "--for", "torchtitan", "--model", "gpt2-124m", "--cluster", "h100x8")
        refused(self, ["alibi"], "emit", "--for", "megatron", "--model", "bloom-176b", "--cluster", "h100x8")
        refused(self, ["zero=1"], "emit", "--for", "torchtitan", *RUN, *LAYOUT)
        refused(self, ["a multiple of 8; nearest: 8192 or 8200"], "emit", "--for", "megatron", *RUN, "--set", "batch.sequence_length=8196",
                "--layout", "dp=16,cp=4")
        refused(self, ["schedule=gpipe"], "emit", "--for", "megatron", *RUN, "--layout", "dp=16,pp=4,schedule=gpipe")
        refused(self, ["dp=64"], "emit", "--for", "megatron", *RUN, "--layout", "dp=8")
        refused(self, ["warmup_steps = 1 of 1 steps"], "emit", "--for", "megatron", *RUN, *LAYOUT, "--tokens", "1048576")
        refused(self, ["letters, digits"], "emit", "--for", "torchtitan", *RUN, "--layout", "dp=64,zero=3", "--out", harness.SCRATCH / "a-b.py")
        for name, says in (("torch", "run_torch.py"), ("class", "keyword"), ("random", "standard library")):
            refused(self, [says], "emit", "--for", "torchtitan", *RUN, "--layout", "dp=64,zero=3", "--out", harness.SCRATCH / f"{name}.py")
        refused(self, ["--cluster"], "emit", "--for", "megatron", "--model", "llama-3-8b")


class Claims(unittest.TestCase):
    ON = ["audit-claim", "--model", "llama-3-8b", "--hardware", "h100x64", "--sequence", "8192"]

    def test_verdicts(self):
        for tflops, verdict in ((2000, "impossible"), (620, "implausible"), (400, "plausible"), (50, "low")):
            self.assertEqual(json_of(self, *self.ON, "--tflops", tflops)["verdict"], verdict, tflops)

    def test_the_kinds_of_number_agree(self):
        rate = json_of(self, *self.ON, "--tflops", 400)["tokens_per_s"]
        self.assertAlmostEqual(json_of(self, *self.ON, "--tokens-per-second", rate)["mfu"], 400 / 989)
        self.assertAlmostEqual(json_of(self, *self.ON, "--tokens-per-second", rate / 64, "--per-device")["mfu"], 400 / 989)
        self.assertAlmostEqual(json_of(self, *self.ON, "--step-time", 128 * 8192 / rate, "--global-batch", 128)["mfu"], 400 / 989)
        hours = 1e12 / rate / 3600 * 64
        self.assertAlmostEqual(json_of(self, *self.ON, "--device-hours", hours, "--tokens", "1T")["mfu"], 400 / 989)
        document = json_of(self, *self.ON, "--tflops", 400, "--convention", "six_n")
        self.assertAlmostEqual(document["mfu_by_convention"]["six_n"], 400 / 989)

    def test_a_device_of_fp16_alone(self):
        claim = ["audit-claim", "--model", "gpt2-1.5b", "--hardware", "v100x8", "--tflops", "40", "--precision", "fp16"]
        self.assertAlmostEqual(json_of(self, *claim, "--json")["mfu"], 40 / 125, delta=0.01)

    def test_mixtures_are_judged_as_what_they_are(self):
        out = json_of(self, "audit-claim", "--model", "mixtral-8x7b", "--hardware", "h100x64", "--tflops", "300", "--json")
        self.assertNotIn("korthikanti_eq7", out["mfu_by_convention"])
        self.assertIn("dense models", out["why"])

    def test_mistakes_are_named(self):
        shown = expect(self, DONE, *self.ON, "--tflops", 820).stdout
        self.assertIn("verdict: implausible", shown)
        self.assertIn("sparse peak", shown)

    def test_bad_arguments(self):
        refused(self, ["0 of --tokens-per-second"], *self.ON)
        refused(self, ["2 of --tokens-per-second"], *self.ON, "--tflops", 3, "--tokens-per-second", 4)
        refused(self, ["nearest: six_n"], *self.ON, "--tflops", 3, "--convention", "six_m")
        refused(self, ["--tokens"], *self.ON, "--device-hours", 3)
        refused(self, ["--global-batch"], *self.ON, "--step-time", 3)
        refused(self, ["10,000T"], *self.ON, "--device-hours", 3, "--tokens", "9e99")
        for number in ("-1", "0", "nan", "inf", "1e300", "x", ""):
            with self.subTest(number):
                refused(self, ["tflops"], *self.ON, "--tflops", number)
        refused(self, ["nearest"], "audit-claim", "--model", "llama-3-8b", "--hardware", "h1000", "--tflops", "3")

    def test_the_published_table_is_what_its_script_makes(self):
        def check(program):
            return subprocess.run([sys.executable, ROOT / "tools/published_runs", "--check"], capture_output=True,
                                  env=os.environ | {"LONGHAUL": str(program)}).returncode

        self.assertEqual(check(harness.LONGHAUL), 0)
        self.assertNotEqual(check(harness.SCRATCH / "nowhere"), 0, "the figures are the program's")


if __name__ == "__main__":
    unittest.main(verbosity=2)
