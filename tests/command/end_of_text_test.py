#!/usr/bin/env python3
"""Texts end: a model that learnt documents by heart stops where they stop; frames of documents by the tokenizer's own tokens."""
import json
import random
import unittest

import harness
from harness import DONE, USAGE, expect, json_of, refused

NAMES = ["Ann", "Bob", "Cid", "Dee", "Eve", "Fay", "Gus", "Hal", "Ida", "Jim", "Kay", "Leo", "Mia", "Ned", "Oda", "Pam", "Quin", "Ray", "Sue", "Tom"]
VERBS = ["sees", "calls", "helps"]
DOCUMENTS = [f"{name} {VERBS[i % 3]} {NAMES[(7 * i + 3) % 20]}{' and ' + NAMES[(3 * i) % 20] if i % 2 else ''}." for i, name in enumerate(NAMES)]
# Not isolated, few sequences begin with a document, as a prompt does.
LONGER = {True: {}, False: {"run": {"steps": 700}, "batch": {"sequence_length": 32, "micro_batch": 16, "global_batch": 16}}}
LLAMA3 = ("<|begin_of_text|>", "<|end_of_text|>")


def byte_tokenizer(specials):
    """tokenizer.json of the 256 bytes and these special tokens, in GPT-2's names for bytes."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    names = {byte: chr(byte) for byte in printable}
    names |= {byte: chr(0x100 + i) for i, byte in enumerate(b for b in range(256) if b not in printable)}
    vocabulary = {names[byte]: byte for byte in range(256)}
    added = [{"id": 256 + i, "content": text, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
             for i, text in enumerate(specials)]
    return json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "post_processor": None, "decoder": {"type": "ByteLevel"},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "", "end_of_word_suffix": "",
                  "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": vocabulary | {text: 256 + i for i, text in enumerate(specials)}, "merges": []}})


def tokens_of(data, split="train"):
    """The ids of a dataset's one shard, read as docs/formats.md describes it."""
    raw = (data / split / "shard-00000.tokens").read_bytes()
    header = {1: 72, 2: 80}[int.from_bytes(raw[8:12], "little")]
    width, count = int.from_bytes(raw[12:16], "little"), int.from_bytes(raw[24:32], "little")
    return [int.from_bytes(raw[header + i * width:header + (i + 1) * width], "little") for i in range(count)]


class TextsEnd(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        def lines(texts):
            return "".join(json.dumps({"text": text}) + "\n" for text in texts)

        cls.corpus = harness.write("short.jsonl", lines(DOCUMENTS))
        draw = random.Random(1)  # in many orders, so that what comes before a document says nothing of it
        cls.shuffled = harness.write("shuffled.jsonl", lines(text for _ in range(20) for text in draw.sample(DOCUMENTS, len(DOCUMENTS))))
        cls.llama3 = harness.write("llama3/tokenizer.json", byte_tokenizer(LLAMA3))
        cls.shared = harness.write("shared/tokenizer.json", byte_tokenizer(["<|endoftext|>"]))

    def prepare(self, name, tokenizer, *options, corpus=None):
        directory = harness.SCRATCH / name
        expect(self, DONE, "data", "prepare", "--source", f"short={corpus or self.corpus}", "--heldout-fraction", "0", "--tokenizer", tokenizer, *options,
               "--out", directory)
        return directory

    def run_file(self, name, dataset, vocabulary, isolate, **changes):
        return harness.write_run(name, data={"directory": str(dataset), "isolate_documents": isolate, **changes.pop("data", {})},
                                 model={"vocab": vocabulary, "layers": 2, "width": 64, "init_std": 0.1},
                                 batch={"sequence_length": 64, "micro_batch": 8, "global_batch": 8, "virtual_ranks": 1, **changes.pop("batch", {})},
                                 optimizer={"learning_rate": 5e-3, "ema_beta": 0.0}, run={"steps": 250, **changes.pop("run", {})},
                                 validation={"every": "never"}, checkpoint={"every": "never"}, guards={"spike_threshold": 0}, **changes)

    def recited(self, run_file):
        """What greedy generation makes of the first word of each document, and how it ended."""
        found = []
        for text in DOCUMENTS:
            first = text.split(" ")[0] + " "
            out = json_of(self, "generate", run_file, "--prompt", first, "--temperature", "0", "--tokens", "32")
            found.append((first + out["text"], out["stop"]))
        return found

    def test_documents_learnt_by_heart_end_by_themselves(self):
        for kind, tokenizer, vocabulary in (("shared", self.shared, 257), ("llama3", self.llama3, 258)):
            data = self.prepare(f"data-{kind}", tokenizer, corpus=self.shuffled)
            for isolate in (True, False):
                with self.subTest(kind=kind, isolate=isolate):
                    run_file = self.run_file(f"{kind}-{isolate}", data, vocabulary, isolate, **LONGER[isolate])
                    expect(self, DONE, "train", run_file)
                    self.assertEqual(self.recited(run_file), [(text, "end_of_text") for text in DOCUMENTS])
        done = expect(self, DONE, "generate", run_file, "--prompt", "Ann ", "--temperature", "0")
        self.assertIn("ended by itself after", done.stderr)
        done = expect(self, DONE, "generate", run_file, "--prompt", "Ann ", "--temperature", "0", "--tokens", "2")
        self.assertIn("stopped after --tokens 2", done.stderr)

    def test_a_model_that_never_sees_the_end_as_a_target_does_not_stop(self):
        run_file = self.run_file("ends-out", self.prepare("data-ends-out", self.shared, corpus=self.shuffled), 257, True, data={"end_of_text_loss": False})
        expect(self, DONE, "train", run_file)
        self.assertNotIn("end_of_text", {stop for _, stop in self.recited(run_file)})

    def test_frames_are_those_of_the_tokenizer_or_as_asked(self):
        text = [list(document.encode()) for document in DOCUMENTS]
        for name, options, begin, end in (("own", [], [256], [257]), ("end-alone", ["--begin", "none"], [], [257]),
                                          ("swapped", ["--begin", LLAMA3[1], "--end", LLAMA3[0]], [257], [256])):
            data = self.prepare(f"framed-{name}", self.llama3, *options)
            self.assertEqual(tokens_of(data), [id for ids in text for id in begin + ids + end])
            shown = json_of(self, "data", "inspect", data)
            self.assertEqual((shown["tokenizer"]["begin"], shown["tokenizer"]["end"]), (begin[0] if begin else None, end[0]))
            self.assertEqual(shown["first_documents"]["train"][0]["begins"], DOCUMENTS[0])
        data = self.prepare("framed-one", self.llama3, "--end", LLAMA3[1], "--begin", LLAMA3[1])
        self.assertEqual(tokens_of(data), [id for ids in text for id in [257] + ids])

    def test_an_export_names_the_tokens_that_were_used(self):
        for name, options, begin, end in (("llama3", [], 256, 257), ("none", ["--begin", "none"], None, 257)):
            run_file = self.run_file(f"export-{name}", self.prepare(f"export-data-{name}", self.llama3, *options), 258, False, run={"steps": 1})
            out = harness.SCRATCH / f"hf-{name}"
            expect(self, DONE, "export", "hf", run_file, "--fresh", "--out", out)
            model, generation, tokenizer = (json.loads((out / f"{part}.json").read_text()) for part in ("config", "generation_config", "tokenizer_config"))
            self.assertEqual((model["bos_token_id"], model["eos_token_id"]), (begin, end))
            self.assertEqual((generation.get("bos_token_id"), generation["eos_token_id"]), (begin, end))
            self.assertEqual((tokenizer.get("bos_token"), tokenizer["eos_token"]), (begin and LLAMA3[0], LLAMA3[1]))

    def test_what_is_no_special_token_is_refused_with_those_that_are(self):
        prepare = ["data", "prepare", "--source", f"short={self.corpus}", "--out", harness.SCRATCH / "refused"]
        refused(self, ["--end </s>", "no such special token", *LLAMA3], *prepare, "--tokenizer", self.llama3, "--end", "</s>")
        expect(self, USAGE, *prepare, "--vocab-size", "300", "--end", "</s>")
        nameless = harness.write("nameless/tokenizer.json", byte_tokenizer(["<|im_start|>"]))
        expect(self, harness.DAMAGED, *prepare, "--tokenizer", nameless, says=["--end", "<|im_start|>"])

    def test_evaluation_says_what_it_counts(self):
        data = harness.SCRATCH / "heldout"
        expect(self, DONE, "data", "prepare", "--source", f"short={self.corpus}", "--heldout-fraction", "0.4", "--tokenizer", self.llama3, "--out", data)
        targets = {}
        for isolate in (True, False):
            for counted in (True, False):
                run_file = self.run_file(f"eval-{isolate}-{counted}", data, 258, isolate, data={"end_of_text_loss": counted}, run={"steps": 2})
                done = expect(self, DONE, "train", run_file)
                self.assertEqual("end of text left out" in done.stdout, not counted)
                result = json_of(self, "eval", run_file)
                self.assertEqual(result["end_of_text_loss"], counted)
                targets[isolate, counted] = result["targets"]
        text, documents = result["bytes"], result["documents"]
        self.assertEqual(targets[True, True], text + documents)
        self.assertEqual(targets[True, False], text)
        self.assertEqual(targets[False, True], text + 2 * documents - 1, "begins are targets too, but for the first")
        self.assertEqual(targets[False, False], text + documents - 1)


if __name__ == "__main__":
    unittest.main()
