#!/usr/bin/env python3
"""`eval` of any text: files, folders and lines of JSON as of the run's own held-out text; by document; with overlapping windows."""
import json
import math
import shutil
import unittest

import harness
from end_of_text_test import LLAMA3, byte_tokenizer
from harness import DAMAGED, DONE, USAGE, expect, json_of, refused

LENGTH = harness.RUN["batch"]["sequence_length"]


def heldout_documents(data):
    """The held-out documents of a dataset, in order: those of its corpus, found in heldout.txt."""
    rest, documents = (data / "heldout.txt").read_text(encoding="utf-8"), []
    texts = [path.read_text(encoding="utf-8") for path in sorted((harness.SCRATCH / "corpus").iterdir())]
    while rest:
        (text,) = {t for t in texts if rest.startswith(t)}
        documents.append(text)
        rest = rest[len(text):]
    return documents


class Evaluation(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.run_file = harness.write_run("eval", run={"steps": 20}, validation={"max_tokens": 0})
        cls.trained = json.loads(harness.run_program("train", cls.run_file, "--json").stdout)
        cls.heldout = heldout_documents(harness.dataset())

    def evaluate(self, *arguments):
        return json_of(self, "eval", self.run_file, *arguments)

    def files_of(self, name, documents):
        for i, text in enumerate(documents):
            harness.write(f"{name}/{i:03}.txt", text)
        return harness.SCRATCH / name

    def lines_of(self, name, documents, field="text"):
        return harness.write(name, "".join(json.dumps({field: text}) + "\n" for text in documents))

    def assert_same_figures(self, a, b):
        for key in ("documents", "bytes", "words", "nats", "targets", "loss", "bits_per_byte", "perplexity", "word_perplexity"):
            self.assertEqual(a[key], b[key], key)

    def test_the_held_out_text_has_the_last_validations_bits(self):
        document = self.evaluate()
        self.assertEqual(document["loss"], self.trained["validation_loss"])
        self.assertEqual(document["bits_per_byte"], self.trained["bits_per_byte"])
        self.assertEqual((document["text"], document["weights"], document["step"]), ("heldout", "average", 20))
        self.assertTrue(document["complete"])

    def test_figures_follow_from_nats_targets_bytes_and_words(self):
        document = self.evaluate()
        text = "".join(self.heldout)
        self.assertEqual(document["documents"], len(self.heldout))
        self.assertEqual(document["bytes"], len(text.encode()))
        self.assertEqual(document["words"], sum(len(t.split()) for t in self.heldout))
        nats = document["nats"]
        for key, value in (("loss", nats / document["targets"]), ("bits_per_byte", nats / math.log(2) / document["bytes"]),
                           ("perplexity", math.exp(nats / document["targets"])),
                           ("word_perplexity", math.exp(nats / document["words"]))):
            self.assertAlmostEqual(document[key] / value, 1, 12, key)

    def test_files_folders_and_lines_have_the_figures_of_the_same_documents_in_a_dataset(self):
        wanted = self.evaluate()
        folder, lines = self.files_of("as-files", self.heldout), self.lines_of("as-lines.jsonl", self.heldout)
        for arguments in (["--text", folder], ["--text", lines], [a for f in sorted(folder.iterdir()) for a in ("--text", f)],
                          ["--text", self.lines_of("body.jsonl", self.heldout, "body"), "--text-field", "body"]):
            with self.subTest(arguments[:2]):
                document = self.evaluate(*arguments)
                self.assert_same_figures(document, wanted)
                self.assertEqual((document["text"], document["paths"]), ("files", [str(a) for a in arguments[1:2 * len(document["paths"]):2]]))

    def test_another_dataset(self):
        other = harness.write_corpus(harness.SCRATCH / "other", documents=8, seed=2)
        data = harness.SCRATCH / "other-data"
        expect(self, DONE, "data", "prepare", "--source", f"other={other}", "--tokenizer", harness.dataset() / "tokenizer.json",
               "--heldout-fraction", "0.5", "--out", data)
        document = self.evaluate("--data", data, "--per-document")
        self.assertEqual(document["paths"], [str(data)])
        self.assertEqual({d["name"] for d in document["per_document"]}, {"other"})
        self.assertEqual(document["bytes"], (data / "heldout.txt").stat().st_size)
        self.assertNotEqual(document["loss"], self.trained["validation_loss"])

    def test_documents_add_up_to_the_whole(self):
        for arguments in ([], ["--stride", "10"], ["--text", self.files_of("sums", self.heldout[:3])]):
            with self.subTest(arguments[:1]):
                document = self.evaluate("--per-document", *arguments)
                parts = document["per_document"]
                self.assertEqual(len(parts), document["documents"])
                for key in ("bytes", "words", "targets"):
                    self.assertEqual(sum(p[key] for p in parts), document[key], key)
                self.assertAlmostEqual(sum(p["nats"] for p in parts) / document["nats"], 1, 12)
                for part in parts:
                    self.assertAlmostEqual(part["loss"], part["nats"] / part["targets"], 12)
                    self.assertAlmostEqual(part["bits_per_byte"], part["nats"] / math.log(2) / part["bytes"], 12)

    def test_documents_are_named_and_have_the_figures_that_they_have_alone(self):
        lines = self.lines_of("named.jsonl", self.heldout[:2])
        folder = self.files_of("named", self.heldout[2:4])
        parts = self.evaluate("--text", folder, "--text", lines, "--per-document")["per_document"]
        self.assertEqual([p["name"] for p in parts], [f"{folder}/000.txt", f"{folder}/001.txt", f"{lines}:1", f"{lines}:2"])
        alone = self.evaluate("--text", folder / "001.txt")
        self.assertEqual(alone["targets"], parts[1]["targets"])
        self.assertAlmostEqual(alone["nats"] / parts[1]["nats"], 1, 5)  # in bf16 the place within a sequence may round otherwise
        shown = expect(self, DONE, "eval", self.run_file, "--text", folder, "--per-document").stdout
        self.assertIn(f"{folder}/001.txt", shown)

    def test_a_figure_that_cannot_be_had_is_no_number(self):
        """Without a begin token the first token is not predicted, isolated or not; a text of one token has no target at all."""
        for name, isolate in (("isolated", True), ("not-isolated", False)):
            data = harness.SCRATCH / f"no-begin-{name}"
            expect(self, DONE, "data", "prepare", "--source", f"text={harness.SCRATCH / 'corpus'}", "--tokenizer", harness.dataset() / "tokenizer.json",
                   "--begin", "none", "--heldout-fraction", "0.1", "--out", data)
            run_file = harness.write_run(f"run-no-begin-{name}", run={"steps": 2}, data={"directory": str(data), "isolate_documents": isolate})
            expect(self, DONE, "train", run_file)
            one = harness.write(f"one-{name}/a.txt", "a")
            document = json_of(self, "eval", run_file, "--text", one, "--per-document")
            self.assertIsNone(document["bits_per_byte"])
            self.assertIsNone(document["word_perplexity"])
            shown = expect(self, DONE, "eval", run_file, "--text", one, "--per-document").stdout
            self.assertIn("—", shown)
            self.assertIn("no begin token", shown)
            self.assertNotIn("0.000 ", shown)

    def test_windows_overlap_and_each_target_counts_once(self):
        whole = self.evaluate()
        self.assert_same_figures(self.evaluate("--stride", LENGTH), whole)
        losses = [self.evaluate("--stride", stride) for stride in (LENGTH // 2, 7)]
        for document in losses:
            self.assertEqual(document["targets"], whole["targets"])
            self.assertNotEqual(document["nats"], whole["nats"])
        self.assertEqual([d["stride"] for d in losses], [LENGTH // 2, 7])

    def test_a_part_has_no_figures_by_byte_or_word(self):
        document = self.evaluate("--max-tokens", 2 * LENGTH)
        self.assertFalse(document["complete"])
        self.assertIsNone(document["bits_per_byte"])
        self.assertIsNone(document["word_perplexity"])
        self.assertLessEqual(document["targets"], 2 * LENGTH)
        self.assertIn("only its beginning", expect(self, DONE, "eval", self.run_file, "--max-tokens", LENGTH).stdout)

    def test_it_prints_what_was_evaluated(self):
        path = harness.write("two words.txt", "two words")
        shown = expect(self, DONE, "eval", self.run_file, "--text", path, "--stride", 5)
        self.assertIn("step-00000020.g0", shown.stderr)
        for text in (f"text of {path}: 1 document, 9 bytes, 2 words", "stride 5", "nats/token", "bits/byte", "per token", "per word"):
            self.assertIn(text, shown.stdout)

    def test_what_is_left_out_is_said(self):
        folder = self.files_of("mixed", self.heldout[:1])
        harness.write("mixed/notes.pdf", "%PDF")
        harness.write("mixed/rows.jsonl", '{"text": "one"}\n{"text": null}\n')
        document = self.evaluate("--text", folder, "--bad-rows", "skip")
        self.assertEqual(document["documents"], 2)
        self.assertIn("notes.pdf", document["notes"][0])
        self.assertIn("rows.jsonl:2", document["notes"][1])
        expect(self, DONE, "eval", self.run_file, "--text", folder, "--bad-rows", "skip", says=["note:", "notes.pdf", "rows.jsonl:2"])
        self.assertEqual(self.evaluate()["notes"], [])

    def test_nothing_is_written(self):
        before = {p: harness.tree(p) for p in (self.run_file.parent, harness.dataset())}
        self.evaluate("--text", self.files_of("unchanged", self.heldout[:1]))
        self.assertEqual({p: harness.tree(p) for p in before}, before)
        self.assertEqual([p.name for p in (harness.SCRATCH / "unchanged").iterdir()], ["000.txt"])

    def test_bad_input_is_refused(self):
        text = harness.write("good.txt", "good")
        for says, arguments in ((["--stride"], ["--stride", "0"]), (["--stride"], ["--stride", "-3"]),
                                ([f"stride {LENGTH + 1}", f"{LENGTH}"], ["--stride", LENGTH + 1]),
                                (["--text", "--data"], ["--text", text, "--data", harness.dataset()]),
                                (["--per-document", "--max-tokens"], ["--per-document", "--max-tokens", "100"])):
            with self.subTest(says):
                refused(self, says, "eval", self.run_file, *arguments)
        harness.write("nothing/empty.txt", "")
        harness.write("nothing/hollow.jsonl", '{"text": ""}\n\n')
        harness.write("latin1.txt", b"caf\xe9 au lait\n")
        harness.write("lines.jsonl", '{"text": "one"}\n{"body": "two"}\n')
        for says, name, *more in ((["nowhere.txt", "does not exist"], "nowhere.txt"), (["no document with text"], "nothing"),
                                  (["empty.txt", "nothing can be taken"], "nothing/empty.txt"),
                                  (["latin1.txt", "byte offset 3", "--invalid-utf8"], "latin1.txt"),
                                  (["lines.jsonl:2", "--text-field"], "lines.jsonl")):
            with self.subTest(name):
                done = expect(self, DAMAGED, "eval", self.run_file, "--text", harness.SCRATCH / name, *more, says=says)
                self.assertEqual(done.stdout, "")
        self.assertEqual(self.evaluate("--text", harness.SCRATCH / "latin1.txt", "--invalid-utf8", "replace")["bytes"], 15)

    def test_a_dataset_of_another_tokenizer_is_refused_naming_both(self):
        data = harness.SCRATCH / "foreign-data"
        expect(self, DONE, *harness.prepare_arguments(harness.write_corpus(harness.SCRATCH / "foreign", documents=9, seed=3), data, 300))
        ours, theirs = (json.loads((d / "dataset.json").read_text())["tokenizer"]["fingerprint"] for d in (harness.dataset(), data))
        expect(self, DAMAGED, "eval", self.run_file, "--data", data,
               says=[data / "tokenizer.json", ours, theirs, "--tokenizer", "--text"])
        expect(self, DAMAGED, "eval", self.run_file, "--data", harness.SCRATCH / "eval", says=["dataset.json"])

    def test_a_dataset_of_other_frames_is_refused_naming_both(self):
        tokenizer = harness.write("frames/tokenizer.json", byte_tokenizer(LLAMA3))
        datasets = [harness.SCRATCH / f"frames-{i}" for i in range(2)]
        for data, begin in zip(datasets, ([], ["--begin", "none"])):
            expect(self, DONE, "data", "prepare", "--source", f"text={harness.SCRATCH / 'corpus'}", "--tokenizer", tokenizer,
                   "--heldout-fraction", "0.1", "--out", data, *begin)
        run_file = harness.write_run("frames-run", run={"steps": 2}, data={"directory": str(datasets[0])})
        expect(self, DONE, "train", run_file)
        expect(self, DAMAGED, "eval", run_file, "--data", datasets[1],
               says=[datasets[1], "no begin … <|end_of_text|>", "<|begin_of_text|> … <|end_of_text|>"])
        own, as_files = (json_of(self, "eval", run_file, *where) for where in ([], ["--data", datasets[0]]))
        self.assert_same_figures(own, as_files)

    def test_damaged_text_of_another_dataset_is_refused(self):
        data = harness.SCRATCH / "damaged-data"
        shutil.copytree(harness.dataset(), data)
        harness.flip_byte(data / "heldout.txt", 10)
        expect(self, DAMAGED, "eval", self.run_file, "--data", data, says=["heldout.txt"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
