#!/usr/bin/env python3
"""Token ids that others made (Megatron, nanoGPT, llm.c) become the dataset that their text would have become, bit for bit.

The files are written here again, by the formats' descriptions, from the ids of a dataset that was prepared from text.
"""
import json
import pathlib
import random
import struct
import unittest

import harness
from harness import DAMAGED, DONE, SCRATCH, USAGE, expect, json_of


def shard_ids(path):
    """(documents' ids without their frame, whether one token frames them) of a token shard (docs/formats.md)."""
    data = path.read_bytes()
    version, width, _, _, count, documents = struct.unpack_from("<IIIIQQ", data, 8)
    header = 72 if version == 1 else 80
    ids = struct.unpack_from(f"<{count}{'H' if width == 2 else 'I'}", data, header)
    index = header + (count * width + 7) // 8 * 8
    starts = [struct.unpack_from("<Q", data, index + 16 * d)[0] for d in range(documents)] + [count]
    return [list(ids[a:b]) for a, b in zip(starts, starts[1:])]


def nanogpt(documents, end, code="H"):
    return b"".join(struct.pack(f"<{len(d) + 1}{code}", *d, end) for d in documents)


def llm_c(documents, end, wide=False):
    ids = [i for d in documents for i in (end, *d)]
    magic, version, code = (20240801, 7, "I") if wide else (20240520, 1, "H")
    return struct.pack("<256i", magic, version, len(ids), *[0] * 253) + struct.pack(f"<{len(ids)}{code}", *ids)


def megatron(documents, end, type_code=8, code="H", append_end=True, sequences=1):
    """(.bin, .idx); a document may be several sequences."""
    width = struct.calcsize(code)
    parts, beginnings = [], [0]
    for d in documents:
        ids = d + [end] if append_end else d
        cuts = [len(ids) * k // sequences for k in range(sequences + 1)]
        parts += [ids[a:b] for a, b in zip(cuts, cuts[1:])]
        beginnings.append(len(parts))
    lengths = [len(p) for p in parts]
    pointers = [width * sum(lengths[:k]) for k in range(len(parts))]
    index = b"MMIDIDX\0\0" + struct.pack("<QBQQ", 1, type_code, len(parts), len(beginnings))
    index += struct.pack(f"<{len(parts)}i", *lengths) + struct.pack(f"<{len(parts)}q", *pointers) + struct.pack(f"<{len(beginnings)}q", *beginnings)
    return b"".join(struct.pack(f"<{len(p)}{code}", *p) for p in parts), index


class TokenFiles(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.rows = [json.dumps({"text": f"Ünï {i}: " + " ".join(f"word{(i * 7 + k) % 50}" for k in range(20 + i % 30))}) for i in range(200)]
        harness.write("text/a.jsonl", "".join(row + "\n" for row in cls.rows))
        cls.text = SCRATCH / "text-data"
        done = harness.run_program("data", "prepare", "--source", f"s={SCRATCH}/text/a.jsonl", "--vocab-size", 400, "--heldout-fraction", "0",
                                   "--train-text", "--out", cls.text)
        assert done.returncode == DONE, done.stderr
        cls.manifest = json.loads((cls.text / "dataset.json").read_text())
        cls.end = cls.manifest["tokenizer"]["endoftext"]
        cls.documents = [d[1:] for d in shard_ids(cls.text / "train/shard-00000.tokens")]
        assert len(cls.documents) == 200 and all(d[0] == cls.end for d in shard_ids(cls.text / "train/shard-00000.tokens"))

    def arguments(self, name, token_format, *more, out=None, tokenizer=None):
        return ["data", "prepare", "--source", f"s={SCRATCH / name}", "--tokens", token_format, "--tokenizer", tokenizer or self.text / "tokenizer.json",
                "--out", out or SCRATCH / f"{name}-{random.randrange(10**9)}-data", *more]

    def prepare(self, files, token_format, *more, fraction="0", **options):
        name = f"tokens-{random.randrange(10**9)}"
        for path, contents in files.items():
            harness.write(f"{name}/{path}", contents)
        out = SCRATCH / f"{name}-data"
        return out, json_of(self, *self.arguments(name, token_format, "--heldout-fraction", fraction, *more, out=out, **options))

    def refuse(self, files, token_format, says, *more, code=DAMAGED, **options):
        name = f"refused-{random.randrange(10**9)}"
        for path, contents in files.items():
            harness.write(f"{name}/{path}", contents)
        out = SCRATCH / f"{name}-data"
        expect(self, code, *self.arguments(name, token_format, *more, out=out, **options), says=says)
        self.assertEqual(list(SCRATCH.glob(f"{name}-data*")), [], "a refused preparation leaves nothing behind")

    def same_shards(self, out, of=None):
        of = of or self.text
        for split in ("train", "heldout"):
            names = sorted(p.name for p in (of / split).iterdir())
            self.assertEqual(sorted(p.name for p in (out / split).iterdir()), names)
            for name in names:
                self.assertEqual((out / split / name).read_bytes(), (of / split / name).read_bytes(), f"{out}: {split}/{name}")

    def test_each_format_gives_the_dataset_of_the_text(self):
        documents, end = self.documents, self.end
        bin_, idx = megatron(documents, end)
        bin32, idx32 = megatron(documents, end, 4, "i", append_end=False, sequences=3)
        half = len(documents) // 2
        for token_format, files in (("uint16", {"train.bin": nanogpt(documents, end)}),
                                    ("uint32", {"train.bin": nanogpt(documents, end, "I")}),
                                    ("uint16", {"a.bin": nanogpt(documents[:half], end), "b.bin": nanogpt(documents[half:], end)[:-2]}),
                                    ("llm.c", {"x_train_000001.bin": llm_c(documents, end)}),
                                    ("llm.c", {"x_train_000001.bin": llm_c(documents, end, wide=True)}),
                                    ("megatron", {"x_text_document.bin": bin_, "x_text_document.idx": idx}),
                                    ("megatron", {"x_text_document.bin": bin32, "x_text_document.idx": idx32})):
            with self.subTest(token_format, files=list(files)):
                out, made = self.prepare(files, token_format, "--train-text")
                self.same_shards(out)
                self.assertEqual((out / "train.txt").read_bytes(), (self.text / "train.txt").read_bytes())
                (source,) = made["sources"]
                self.assertEqual((source["token_format"], source["files"]["seen"], source["files"]["taken"]), (token_format, len(files), len(files)))
                self.assertEqual(source["rows"], {"seen": 200, "taken": 200, "skipped": []})
                self.assertEqual(made["bytes_per_token"], json_of(self, "data", "inspect", self.text)["bytes_per_token"])
                kept = json.loads((out / "dataset.json").read_text())
                self.assertEqual(kept["sources"][0]["token_format"], token_format)
                self.assertEqual([f["path"] for f in kept["sources"][0]["files"]], sorted(files))
                self.assertEqual(kept["tokenizer"]["fingerprint"], self.manifest["tokenizer"]["fingerprint"])

    def test_the_split_is_that_of_the_text(self):
        held, same = SCRATCH / "held-data", {"train.bin": nanogpt(self.documents, self.end)}
        arguments = ["data", "prepare", "--source", f"s={SCRATCH}/text/a.jsonl", "--tokenizer", self.text / "tokenizer.json", "--heldout-fraction", "0.2"]
        expect(self, DONE, *arguments, "--out", held)
        out, _ = self.prepare(same, "uint16", fraction="0.2")
        self.same_shards(out, held)
        self.assertEqual((out / "heldout.txt").read_bytes(), (held / "heldout.txt").read_bytes())

    def test_a_tail_begins_with_a_token(self):
        name = "tail-tokens"
        harness.write(f"{name}/a.bin", nanogpt(self.documents, self.end))
        out = SCRATCH / "tail-data"
        expect(self, DONE, *self.arguments(name, "uint16", "--heldout-tail", "0.3", "--train-text", out=out))
        train, held = (shard_ids(out / split / "shard-00000.tokens") for split in ("train", "heldout"))
        self.assertEqual([a[1:] + b[1:] for a, b in zip(train, held)], self.documents)
        held_bytes = len((out / "heldout.txt").read_bytes())
        self.assertAlmostEqual(held_bytes / (held_bytes + len((out / "train.txt").read_bytes())), 0.3, delta=0.03)

    def test_sources_of_text_and_of_tokens_together(self):
        harness.write("both/a.bin", nanogpt(self.documents, self.end))
        harness.write("both/model.bin", b"no ids")
        out = SCRATCH / "both-data"
        made = json_of(self, "data", "prepare", "--source", f"text={SCRATCH}/text", "--source", f"ids={SCRATCH}/both/a.bin", "--tokens", "ids=uint16",
                       "--tokenizer", self.text / "tokenizer.json", "--heldout-fraction", "0", "--threads", "3", "--out", out)
        text, ids = made["sources"]
        self.assertEqual((text["token_format"], ids["token_format"]), (None, "uint16"))
        self.assertEqual(text["train"], ids["train"])
        documents = shard_ids(out / "train/shard-00000.tokens")
        self.assertEqual(documents[:200], documents[200:])
        expect(self, DAMAGED, "data", "prepare", "--source", f"ids={SCRATCH}/both", "--tokenizer", self.text / "tokenizer.json", "--out", SCRATCH / "none",
               says=["2 unknown extension (a.bin, model.bin)", "--tokens ids=FORMAT"])

    def test_documents_are_named_by_their_place(self):
        documents = [d for d in self.documents[:5]]
        documents.insert(2, [])
        out, made = self.prepare({"a.bin": nanogpt(documents, self.end)}, "uint16", "--metadata", "url")
        self.assertEqual(made["sources"][0]["rows"], {"seen": 6, "taken": 5, "skipped": [{"reason": "empty", "count": 1, "names": ["a.bin:3"]}]})
        lines = [json.loads(line) for line in (out / "train/documents.jsonl").read_text().splitlines()]
        self.assertEqual([(line["file"], line["line"]) for line in lines], [("a.bin", n) for n in (1, 2, 4, 5, 6)])

    def test_the_frame_is_the_dataset_s(self):
        """A vocabulary with a begin token of its own, as Llama's."""
        vocabulary = json.loads((self.text / "tokenizer.json").read_text())
        size = self.manifest["tokenizer"]["vocab_size"]
        for text, number in (("<|begin_of_text|>", size), ("<|end_of_text|>", size + 1)):
            vocabulary["model"]["vocab"][text] = number
            vocabulary["added_tokens"].append({**vocabulary["added_tokens"][0], "id": number, "content": text})
        vocabulary["added_tokens"] = [t for t in vocabulary["added_tokens"] if t["content"] != "<|endoftext|>"]
        tokenizer = harness.write("begin.json", json.dumps(vocabulary))
        begin, end = size, size + 1
        framed = {"a.bin": nanogpt([[begin, *d] for d in self.documents], end)}
        out, _ = self.prepare(framed, "uint16", tokenizer=tokenizer)
        self.assertEqual(shard_ids(out / "train/shard-00000.tokens"), [[begin, *d, end] for d in self.documents])
        unframed = {"a.bin": nanogpt(self.documents, end)}
        self.refuse(unframed, "uint16", ["a.bin", "byte offset 0", "not with the begin token", "--begin none"], tokenizer=tokenizer)
        out, _ = self.prepare(unframed, "uint16", "--begin", "none", tokenizer=tokenizer)
        self.assertEqual(shard_ids(out / "train/shard-00000.tokens"), [[*d, end] for d in self.documents])
        begun = {"a.bin": llm_c(self.documents, begin)}  # llm.c's Llama 3: the begin token alone divides
        self.refuse(begun, "llm.c", ["none of its", "is the end token", "--end"], tokenizer=tokenizer)
        out, _ = self.prepare(begun, "llm.c", "--begin", "<|begin_of_text|>", "--end", "<|begin_of_text|>", tokenizer=tokenizer)
        self.assertEqual(shard_ids(out / "train/shard-00000.tokens"), [[begin, *d] for d in self.documents])

    def test_what_cannot_be_right_is_refused_by_file_and_offset(self):
        good, end = nanogpt(self.documents, self.end), self.end
        bad = bytearray(good)
        bad[2000:2002] = struct.pack("<H", 400 + 7)
        self.refuse({"a.bin": bytes(bad)}, "uint16", ["a.bin: byte offset 2000 (token 1000): id 407 is outside the vocabulary of"])
        self.refuse({"a.bin": good[:-1]}, "uint16", ["a.bin", "truncated"])
        self.refuse({"a.bin": nanogpt(self.documents, end, "I")}, "uint16", ["a.bin", "every second id is 0"])
        self.refuse({"a.bin": good}, "llm.c", ["a.bin", "no header of llm.c's"])
        self.refuse({"a.bin": llm_c(self.documents, end)[:-4]}, "llm.c", ["a.bin: byte offset 8", "truncated"])
        bin_, idx = megatron(self.documents, end)
        self.refuse({"a.bin": bin_}, "megatron", ["a.idx", "lies beside its .bin"])
        self.refuse({"a.idx": idx}, "megatron", ["a.idx", "a.bin is not there"])
        self.refuse({"a.bin": bin_[:-2], "a.idx": idx}, "megatron", ["a.bin: byte offset", "truncated"])
        self.refuse({"a.bin": bin_, "a.idx": idx[:-8]}, "megatron", ["a.idx: byte offset", "truncated"])
        whole = {"a.bin": struct.pack("<3H", 1, 2, 3)}
        self.refuse(whole, "uint16", ["none of its 3 ids is the end token", "--whole-token-files"])
        _, made = self.prepare(whole, "uint16", "--whole-token-files")
        self.assertEqual(made["train"]["documents"], 1)
        self.refuse({"a.txt": "x", "a.bin.gz": good}, "uint16", ["nothing can be taken", "2 unknown extension", ".bin (token ids)"])
        self.refuse({"a.bin": good}, "uint15", ["uint15", "nearest: uint16"], code=USAGE)
        self.refuse({"a.bin": good}, "t=uint16", ["no source is named t"], code=USAGE)
        expect(self, USAGE, "data", "prepare", "--source", f"s={SCRATCH}", "--tokens", "uint16", "--vocab-size", 300, "--out", SCRATCH / "x", says=["--tokenizer"])

    def test_a_dry_run_counts_the_ids(self):
        harness.write("dry-tokens/a.bin", nanogpt(self.documents, self.end))
        bin_, idx = megatron(self.documents, self.end)
        harness.write("dry-megatron/a.bin", bin_)
        harness.write("dry-megatron/a.idx", idx)
        made = json_of(self, "data", "inspect", self.text)["train"]
        for name, token_format in (("dry-tokens", "uint16"), ("dry-megatron", "megatron")):
            (source,) = json_of(self, *self.arguments(name, token_format, "--dry-run"))["sources"]
            for key in ("documents", "bytes", "tokens"):
                self.assertAlmostEqual(source[key], made[key], delta=0.02 * made[key], msg=f"{name}: {key}")

    def test_a_changed_index_is_another_dataset(self):
        out, _ = self.prepare({"a.bin": megatron(self.documents, self.end)[0], "a.idx": megatron(self.documents, self.end)[1]}, "megatron")
        root = pathlib.Path(str(out)[:-len("-data")])
        again = self.arguments(root.name, "megatron", "--heldout-fraction", "0", out=out)
        self.assertTrue(json_of(self, *again)["reused"])
        (root / "a.idx").write_bytes(megatron(self.documents, self.end, sequences=2)[1])
        expect(self, USAGE, *again, says=["made from other text or with other options"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
