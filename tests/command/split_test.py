#!/usr/bin/env python3
"""What `data prepare` holds out: documents by hash, the end of a single one, the user's own files, or everything; and what can be done with
each such dataset."""
import json
import unittest

import harness
from harness import DAMAGED, DONE, USAGE, expect, json_of

RUN = {"run": {"steps": 4}, "model": {"vocab": 300}, "batch": {"sequence_length": 32}, "validation": {"every": "2 steps", "max_tokens": 0},
       "checkpoint": {"every": "4 steps"}}


def lines(count):
    return "".join(f"The quick brown fox jumps over the lazy dog near the river bank number {i}. Rain falls on the plain.\n" for i in range(count))


class Splitting(unittest.TestCase):
    def prepare(self, name, *arguments, source=None, vocabulary=("--vocab-size", "300")):
        """A dataset of SCRATCH/name (or `source`) in SCRATCH/name-data: its document, its folder."""
        out = harness.SCRATCH / f"{name}-data"
        return json_of(self, "data", "prepare", "--source", f"s={source or harness.SCRATCH / name}", *vocabulary, "--out", out, *arguments), out

    def refused(self, code, says, name, *arguments, vocabulary=("--vocab-size", "300")):
        out = harness.SCRATCH / f"{name}-refused"
        done = expect(self, code, "data", "prepare", "--source", f"s={harness.SCRATCH / name}", *vocabulary, "--out", out, *arguments, says=says)
        self.assertFalse(out.exists())
        return done.stderr

    def run_on(self, data, name):
        return harness.write_run(name, data={"directory": str(data)}, **RUN)

    def parts(self, out):
        return tuple((out / f"{part}.txt").read_text(encoding="utf-8") for part in ("train", "heldout"))

    def test_a_single_document_holds_out_its_tail(self):
        text = lines(720)
        harness.write("one-file/input.txt", text)
        for name, arguments, share in (("plain", [], 0.1), ("tenth", ["--heldout-fraction", "0.1"], 0.1),
                                       ("most", ["--heldout-fraction", "0.9"], 0.9), ("tail", ["--heldout-tail", "0.3"], 0.3)):
            with self.subTest(name):
                document, out = self.prepare(f"one-{name}", *arguments, "--train-text", source=harness.SCRATCH / "one-file")
                train, heldout = self.parts(out)
                self.assertEqual(train + heldout, text)
                self.assertTrue(train.endswith("\n"), "the cut is between two lines")
                self.assertAlmostEqual(document["heldout"]["bytes"] / len(text), share, 2)
                self.assertEqual(document["split"]["heldout_tail"], share)
                self.assertEqual((document["train"]["documents"], document["heldout"]["documents"]), (1, 1))
        trained = json_of(self, "train", self.run_on(harness.SCRATCH / "one-tenth-data", "one-file-run"))
        self.assertGreater(trained["bits_per_byte"], 0)

    def test_so_does_a_single_line_of_json_beside_empty_ones_and_a_text_without_lines_or_spaces(self):
        harness.write("one-line/a.jsonl", json.dumps({"text": "word " * 500}) + '\n{"text": ""}\n')
        harness.write("one-line/b.txt", "")
        harness.write("whales/a.txt", "鯨" * 500)
        for name in ("one-line", "whales"):
            with self.subTest(name):
                document, out = self.prepare(name, "--train-text")
                train, heldout = self.parts(out)  # both are UTF-8
                self.assertAlmostEqual(document["heldout"]["bytes"] / document["train"]["bytes"], 1 / 9, 1)
                self.assertGreater(min(len(train), len(heldout)), 0)

    def test_a_vocabulary_never_sees_the_tail(self):
        harness.write("secret/a.txt", "ab " * 900 + "xyzzy" * 60)
        document, out = self.prepare("secret", "--heldout-tail", "0.1", "--train-text")
        harness.write("no-secret/a.txt", self.parts(out)[0])
        self.assertEqual(self.prepare("no-secret", "--heldout-fraction", "0")[0]["tokenizer"], document["tokenizer"])

    def test_no_advice_contradicts_another(self):
        harness.write("few/a.txt", "one document " * 20)
        harness.write("few/b.txt", "another document " * 20)
        harness.write("few/c.txt", "a third document " * 20)
        shown = expect(self, DONE, "data", "prepare", "--source", f"s={harness.SCRATCH / 'few'}", "--vocab-size", "300", "--heldout-fraction",
                       "0.0001", "--out", harness.SCRATCH / "none-held").stdout
        none = self.refused(DAMAGED, ["all 3 documents", "--heldout-tail", "--eval-only"], "few", "--heldout-fraction", "0.9999")
        for text in (shown, none):
            self.assertIn("--heldout-source", text)
            for advice in ("raise", "lower", "give more documents"):
                self.assertNotIn(advice, text)
        document, _ = self.prepare("few", "--heldout-tail", "0.2")  # as both advise
        self.assertEqual((document["train"]["documents"], document["heldout"]["documents"]), (3, 3))

    def test_ones_own_held_out_text(self):
        for i in range(12):
            harness.write(f"own/{i:02}.txt", f"Document {i}. " + lines(5))
        harness.write("test/seen.txt", (harness.SCRATCH / "own/07.txt").read_text())
        harness.write("test/new.jsonl", json.dumps({"text": "Never seen."}) + "\n")
        arguments = ("--heldout-source", f"test={harness.SCRATCH / 'test'}")
        document, out = self.prepare("own", *arguments)
        self.assertEqual(document["overlap"], {"documents": 1, "names": [str(harness.SCRATCH / "own/07.txt")]})
        self.assertEqual(document["split"] | {"salt": ""}, {"salt": "", "heldout_fraction": 0, "heldout_tail": 0, "eval_only": False})
        self.assertEqual([(s["name"], s["heldout_source"], s["train"]["documents"], s["heldout"]["documents"]) for s in document["sources"]],
                         [("s", False, 12, 0), ("test", True, 0, 2)])
        self.assertTrue(self.prepare("own", *arguments)[0]["reused"])
        shown = expect(self, DONE, "data", "inspect", out).stdout
        for text in ("source test is held out", "1 document to train on is also held out", "own/07.txt"):
            self.assertIn(text, shown)
        both, _ = self.prepare("own-and-hash", *arguments, "--heldout-fraction", "0.4", source=harness.SCRATCH / "own")
        self.assertGreater(both["heldout"]["documents"], 2)
        self.assertEqual(both["train"]["documents"] + both["heldout"]["documents"], 14)
        trained = json_of(self, "train", self.run_on(out, "own-run"))
        self.assertGreater(trained["bits_per_byte"], 0)
        self.refused(DAMAGED, ["does not exist"], "own", "--heldout-source", "test=nowhere")
        self.refused(USAGE, ["two sources are named s"], "own", "--heldout-source", f"s={harness.SCRATCH / 'test'}")
        self.refused(USAGE, ["--heldout-source test", "NAME=PATH"], "own", "--heldout-source", "test")

    def test_a_dataset_for_evaluation_alone(self):
        harness.write("base/a.txt", lines(200))
        _, base = self.prepare("base")
        run_file = self.run_on(base, "base-run")
        expect(self, DONE, "train", run_file)
        harness.write("eval-only/test.txt", "A single test document, as wikitext's test file is.\n")
        harness.write("eval-lines/a.jsonl", "".join(json.dumps({"text": line}) + "\n" for line in lines(20).splitlines()))
        loaded = ("--tokenizer", base / "tokenizer.json")
        for name in ("eval-only", "eval-lines"):
            with self.subTest(name):
                document, out = self.prepare(name, "--eval-only", vocabulary=loaded)
                self.assertEqual(document["train"], {"documents": 0, "bytes": 0, "tokens": 0})
                of_data, of_text = (json_of(self, "eval", run_file, *where) for where in (["--data", out], ["--text", harness.SCRATCH / name]))
                for key in ("nats", "targets", "bits_per_byte", "word_perplexity"):
                    self.assertEqual(of_data[key], of_text[key], key)
                json_of(self, "data", "inspect", out)
                for verb in (["train"], ["debug", "batches", "--out", harness.SCRATCH / "no.safetensors"]):
                    expect(self, DAMAGED, *verb, self.run_on(out, f"{name}-{verb[0]}"), says=["no text to train on", "--eval-only", str(out)])
                self.assertFalse((harness.SCRATCH / f"{name}-train/run").exists())
        self.refused(USAGE, ["--eval-only", "--tokenizer"], "eval-only", "--eval-only")
        for more in (["--heldout-fraction", "0.1"], ["--heldout-tail", "0.1"], ["--heldout-source", f"x={harness.SCRATCH / 'base'}"]):
            self.refused(USAGE, ["--eval-only", more[0]], "eval-only", "--eval-only", *more, vocabulary=loaded)

    def test_shares_are_checked(self):
        harness.write("shares/a.txt", "some text")
        self.refused(USAGE, ["--heldout-tail 1"], "shares", "--heldout-tail", "1")
        self.refused(USAGE, ["--heldout-fraction 1", "--eval-only"], "shares", "--heldout-fraction", "1")
        self.refused(USAGE, ["--heldout-tail"], "shares", "--heldout-tail", "-0.5")
        self.refused(USAGE, ["not both"], "shares", "--heldout-tail", "0.1", "--heldout-fraction", "0.1")

    def test_a_dataset_from_before_there_were_tails_is_known_again(self):
        for i in range(30):
            harness.write(f"before/{i}.txt", lines(3) + str(i))
        _, out = self.prepare("before", "--heldout-fraction", "0.2")
        manifest = json.loads((out / "dataset.json").read_text())
        del manifest["overlap"], manifest["split"]["heldout_tail"], manifest["split"]["eval_only"], manifest["sources"][0]["heldout_source"]
        (out / "dataset.json").write_text(json.dumps(manifest))
        json_of(self, "data", "inspect", out)
        self.assertTrue(self.prepare("before", "--heldout-fraction", "0.2")[0]["reused"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
