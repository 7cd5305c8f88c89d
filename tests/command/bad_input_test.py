#!/usr/bin/env python3
"""Bad input ends in a sentence that names the place, the right exit code, and no damage to what was there."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import unittest

import harness
from harness import DAMAGED, DONE, FAILED, USAGE, expect, json_of, prepare_arguments


def copy_of_data(name):
    directory = harness.SCRATCH / name
    shutil.copytree(harness.dataset(), directory)
    return directory


class Preparing(unittest.TestCase):
    def refused(self, code, corpus, name, says, **options):
        target = harness.SCRATCH / f"{name}-data"
        expect(self, code, *prepare_arguments(corpus, target, **options), says=says)
        left = [p.name for p in harness.SCRATCH.glob(f"*{name}-data*")]
        self.assertEqual(left, [], "a refused preparation leaves nothing behind")

    def test_missing_corpus(self):
        missing = harness.SCRATCH / "nowhere"
        self.refused(DAMAGED, missing, "missing", [missing])

    def test_empty_corpus(self):
        empty = harness.SCRATCH / "empty"
        empty.mkdir()
        self.refused(DAMAGED, empty, "empty", [empty, ".txt"])

    def test_corpus_of_empty_documents(self):
        hollow = harness.SCRATCH / "hollow"
        hollow.mkdir()
        (hollow / "a.txt").write_text("")
        self.refused(DAMAGED, hollow, "hollow", [hollow])

    def test_invalid_utf8_is_located(self):
        corpus = harness.write_corpus(harness.SCRATCH / "latin1", documents=3)
        (corpus / "bad.txt").write_bytes(b"caf\xe9 au lait\n")
        self.refused(DAMAGED, corpus, "latin1", ["bad.txt", "3"])

    def test_invalid_json_line_is_located(self):
        corpus = harness.SCRATCH / "lines"
        corpus.mkdir()
        (corpus / "a.jsonl").write_text('{"text": "one"}\n{"text": \n')
        self.refused(DAMAGED, corpus, "lines", ["a.jsonl:2"])

    def test_missing_text_field_is_located(self):
        corpus = harness.SCRATCH / "fields"
        corpus.mkdir()
        (corpus / "a.jsonl").write_text('{"text": "one"}\n{"body": "two"}\n')
        self.refused(DAMAGED, corpus, "fields", ["a.jsonl:2", "text"])

    def test_a_vocabulary_too_small_for_bytes(self):
        self.refused(USAGE, harness.write_corpus(harness.SCRATCH / "small", documents=2), "small", ["100", "257"], vocabulary=100)


class RunFile(unittest.TestCase):
    def test_missing_run_file(self):
        expect(self, USAGE, "train", harness.SCRATCH / "no-run.toml", says=["no-run.toml"])

    def test_unknown_key_names_line_and_nearest(self):
        run_file = harness.write_run("unknown-key", optimizer={"lerning_rate": 1e-3})
        line = run_file.read_text().splitlines().index("lerning_rate = 0.001") + 1
        expect(self, USAGE, "train", run_file, says=[f"run.toml:{line}", "lerning_rate", "learning_rate"])
        self.assertFalse((run_file.parent / "run").exists())

    def test_unknown_key_in_set(self):
        run_file = harness.write_run("unknown-set")
        expect(self, USAGE, "train", run_file, "--set", "optimizer.wieght_decay=0", says=["--set", "weight_decay"])

    def test_wrong_type(self):
        run_file = harness.write_run("wrong-type", run={"seed": "seven"})
        expect(self, USAGE, "train", run_file, says=["run.toml:", "seed", "integer"])

    def test_impossible_combination_names_the_nearest(self):
        run_file = harness.write_run("odd-batch", batch={"global_batch": 7})
        expect(self, USAGE, "train", run_file, says=["global_batch", "6", "8"])

    def test_toml_syntax(self):
        run_file = harness.SCRATCH / "syntax.toml"
        run_file.write_text("[run]\nseed = = 3\n")
        expect(self, USAGE, "train", run_file, says=["syntax.toml:2"])

    def test_unknown_verb_and_option(self):
        expect(self, USAGE, "trian")
        expect(self, USAGE, "train", harness.write_run("option"), "--jsn")

    def test_missing_data(self):
        run_file = harness.write_run("no-data", data={"directory": "nowhere"})
        expect(self, DAMAGED, "train", run_file, says=["nowhere"])


class DamagedData(unittest.TestCase):
    def refused(self, name, damage, says):
        data = copy_of_data(f"{name}-data")
        shard = sorted(data.rglob("*shard*"))[0]
        damage(shard)
        before = harness.tree(data)
        run_file = harness.write_run(name, data={"directory": f"../{name}-data"})
        expect(self, DAMAGED, "train", run_file, says=[shard.name, *says])
        self.assertEqual(harness.tree(data), before)
        self.assertEqual(harness.commits(run_file), [])

    def test_truncated_shard(self):
        self.refused("truncated", lambda shard: os.truncate(shard, shard.stat().st_size - 100), [])

    def test_flipped_byte_in_a_shard(self):
        self.refused("flipped", lambda shard: harness.flip_byte(shard, shard.stat().st_size // 2), [])

    def test_flipped_byte_in_a_header(self):
        self.refused("header", lambda shard: harness.flip_byte(shard, 20), [])

    def test_missing_shard(self):
        self.refused("gone", pathlib.Path.unlink, [])

    def test_damaged_manifest(self):
        data = copy_of_data("manifest-data")
        manifest = data / "dataset.json"
        manifest.write_bytes(manifest.read_bytes()[:-20])
        run_file = harness.write_run("manifest", data={"directory": "../manifest-data"})
        expect(self, DAMAGED, "train", run_file, says=["dataset.json"])

    def test_vocabulary_mismatch(self):
        run_file = harness.write_run("vocabulary", model={"vocab": 300})
        expect(self, DAMAGED, "train", run_file, says=["300", "512"])
        self.assertEqual(harness.commits(run_file), [])


class DamagedCheckpoint(unittest.TestCase):
    def trained(self, name, steps=20):
        run_file = harness.write_run(name, schedule={"kind": "constant"}, run={"steps": steps})
        json_of(self, "train", run_file)
        return run_file

    def checkpoint_file(self, run_file, commit, name="weights.safetensors"):
        return run_file.parent / "run/checkpoints" / commit / name

    def test_a_damaged_one_is_set_aside_and_the_older_used(self):
        for name, offset in (("weights.safetensors", -1000), ("moment2.safetensors", 40), ("manifest.json", 100)):
            with self.subTest(name):
                run_file = self.trained(f"damaged-{name}")
                wanted = harness.results(run_file)
                harness.flip_byte(self.checkpoint_file(run_file, "step-00000020.g0", name), offset)
                done = expect(self, DONE, "train", run_file, "--json", says=["step-00000020.g0", name])
                self.assertIn('"resumed_from_step": 10', done.stdout.replace('":10', '": 10'))
                self.assertEqual(harness.results(run_file), wanted)
                kept = [p.name for p in (run_file.parent / "run/checkpoints").iterdir() if "quarantine" in p.name]
                self.assertEqual(len(kept), 1, "nothing is deleted: the damaged one stays under another name")

    def test_only_damaged_ones(self):
        run_file = self.trained("all-damaged")
        for commit in harness.commits(run_file):
            harness.flip_byte(self.checkpoint_file(run_file, commit), -8)
        expect(self, DAMAGED, "train", run_file, says=["weights.safetensors"])

    def test_evaluation_and_export_refuse_what_does_not_verify(self):
        run_file = self.trained("export-damaged")
        for commit in harness.commits(run_file):
            harness.flip_byte(self.checkpoint_file(run_file, commit), -8)
        before = harness.tree(run_file.parent / "run/checkpoints")
        expect(self, DAMAGED, "eval", run_file, says=["weights.safetensors"])
        expect(self, DAMAGED, "export", "hf", run_file, "--out", run_file.parent / "hf", says=["weights.safetensors"])
        self.assertFalse((run_file.parent / "hf").exists())
        self.assertEqual(harness.tree(run_file.parent / "run/checkpoints"), before)

    def test_checkpoint_of_another_configuration(self):
        run_file = self.trained("other-configuration")
        before = harness.tree(run_file.parent / "run/checkpoints")
        expect(self, DAMAGED, "train", run_file, "--set", "optimizer.learning_rate=0.001", "--set", "run.steps=30",
               says=["optimizer.learning_rate"])
        self.assertEqual(harness.tree(run_file.parent / "run/checkpoints"), before)

    def test_another_model_than_the_checkpoints(self):
        """Shapes alone do not tell heads, theta or epsilon: the run that wrote the weights does."""
        run_file = self.trained("another-model")
        for verb in (["eval", run_file], ["generate", run_file, "--tokens", 1], ["export", "hf", run_file, "--out", run_file.parent / "hf"],
                     ["debug", "step", run_file, "--out", run_file.parent / "step"]):
            expect(self, USAGE, *verb, "--set", "model.rope_theta=50", says=["model.rope_theta"])

    def test_another_tokenizer_than_the_checkpoints(self):
        run_file = self.trained("another-tokenizer")
        other = harness.SCRATCH / "data-400"
        expect(self, DONE, *harness.prepare_arguments(harness.SCRATCH / "corpus", other, 400))
        expect(self, USAGE, "eval", run_file, "--set", f"data.directory={other}", says=["data.tokenizer"])

    def test_a_manifest_that_contradicts_its_shards(self):
        run_file = harness.write_run("manifest-contradicts")
        data = harness.SCRATCH / "data-contradicts"
        shutil.copytree(harness.dataset(), data)
        manifest = json.loads((data / "dataset.json").read_text())
        manifest["content_hash"] = "0" * 64
        (data / "dataset.json").write_text(json.dumps(manifest))
        expect(self, DAMAGED, "train", run_file, "--set", f"data.directory={data}", says=["content_hash"])


class Log(unittest.TestCase):
    def test_a_log_that_nobody_reads_ends_no_run(self):
        for name, log in (("full", "2> /dev/full"), ("closed", "2>&1 | true")):
            with self.subTest(name):
                run_file = harness.write_run(f"log-{name}", run={"steps": 12})
                command = f"'{harness.LONGHAUL}' train '{run_file}' --json {log}"
                done = subprocess.run(["bash", "-o", "pipefail", "-c", command], stdout=subprocess.DEVNULL, timeout=300)
                self.assertIn(done.returncode, (DONE, FAILED))  # --json into a closed pipe cannot be written
                self.assertIn("step-00000012.g0", harness.commits(run_file))

    def test_nothing_held_out(self):
        corpus = harness.write_corpus(harness.SCRATCH / "corpus-whole", documents=10)
        data = harness.SCRATCH / "data-whole"
        arguments = harness.prepare_arguments(corpus, data)
        expect(self, DONE, *arguments[:-1], "0")
        run_file = harness.write_run("whole", run={"steps": 12}, data={"directory": str(data)})
        done = expect(self, DONE, "train", run_file, "--json", says=["nothing is validated"])
        self.assertIsNone(json.loads(done.stdout)["validation_loss"])


class World(unittest.TestCase):
    def test_two_runs_in_one_directory(self):
        run_file = harness.write_run("two-runs", run={"steps": 100000})
        first = harness.start("train", run_file)
        try:
            harness.wait_until(lambda: harness.steps_recorded(run_file) >= 2, first, "step 2")
            expect(self, USAGE, "train", run_file, says=[run_file.parent / "run", str(first.pid)])
            self.assertIsNone(first.poll(), "the first run goes on")
        finally:
            first.send_signal(signal.SIGTERM)
            self.assertEqual(first.wait(240), harness.PREEMPTED)
        self.assertEqual([r["step"] for r in harness.results(run_file)], list(range(1, harness.steps_recorded(run_file) + 1)))

    def test_disk_full_during_a_save(self):
        """The run directory is a tmpfs that holds one checkpoint and a half: the first save stays, and with room the run goes on."""
        one = harness.write_run("full-size", run={"steps": 10})
        json_of(self, "train", one)
        bytes_of_one = sum(p.stat().st_size for p in (one.parent / "run/checkpoints").rglob("*") if p.is_file())
        run_file = harness.write_run("full", run={"steps": 20})
        run = run_file.parent / "run"
        run.mkdir()
        script = (f"mount -t tmpfs -o size={int(1.6 * bytes_of_one)} tmpfs {run} && "
                  f"{harness.LONGHAUL} train {run_file}; echo first $? ; ls {run}/checkpoints; "
                  f"mount -o remount,size=64m {run} && {harness.LONGHAUL} train {run_file} --json; echo second $?; "
                  f"cp -r {run}/ledger {run_file.parent}/ledger-copy")
        done = subprocess.run(["unshare", "--user", "--map-root-user", "--mount", "bash", "-c", script], capture_output=True, text=True)
        told = done.stdout + done.stderr
        if "unshare failed" in told or "permission denied" in told.lower():
            self.skipTest("no user namespaces here: a small tmpfs cannot be mounted")
        self.assertIn("first 1", done.stdout, told)
        self.assertIn("No space left on device", told)
        self.assertIn("step-00000010.g0", done.stdout, "the earlier checkpoint is still there\n" + told)
        self.assertIn("second 0", done.stdout, told)
        self.assertIn('"resumed_from_step"', done.stdout, told)

    def test_an_unwritable_place(self):
        run_file = harness.write_run("unwritable", run={"directory": "/proc/longhaul"})
        expect(self, FAILED, "train", run_file, says=["/proc/longhaul"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
