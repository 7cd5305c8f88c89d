#!/usr/bin/env python3
"""Preparing a dataset while things go wrong: a full disk, and damaged tables, arrays, archives and token files. (Damaged text and rows, and
preparations that are killed, are in ingest_test.py.)

Whatever happens, a preparation ends with a whole dataset or with a message that names the file, and then nothing of it is left; and the
account of files and rows adds up.
"""
import bz2
import csv
import gzip
import io
import json
import lzma
import os
import pathlib
import random
import shutil
import struct
import subprocess
import tarfile
import unittest

import harness
from harness import DAMAGED, DONE, FAILED, SCRATCH, expect

PARQUET = pathlib.Path(__file__).resolve().parents[1] / "golden/parquet"


def document(number):
    return " ".join(f"word{(number * number + k * 13) % 97}" for k in range(60)) + f" é {number}.\n"


def arguments(root, out, *more):
    return ["data", "prepare", "--source", f"s={root}", "--vocab-size", 300, "--heldout-fraction", "0.1", "--out", out, *more]


class DiskFull(unittest.TestCase):
    ROWS = 1500

    @classmethod
    def setUpClass(cls):
        rows = [json.dumps({"text": document(i), "note": i}) for i in range(cls.ROWS)] + ['{"text": null}']
        cls.root = harness.write("full/a.jsonl", "".join(row + "\n" for row in rows)).parent
        cls.options = ["--bad-rows", "skip", "--train-text", "--metadata", "note"]
        cls.whole = SCRATCH / "full-whole"
        done = harness.run_program(*arguments(cls.root, cls.whole, *cls.options))
        assert done.returncode == DONE, done.stderr
        cls.bytes_written = sum(len(data) for data in harness.tree(cls.whole).values())

    def prepare_again(self, out):
        expect(self, DONE, *arguments(self.root, out, *self.options))
        self.assertEqual(harness.tree(out), harness.tree(self.whole))

    def test_a_full_disk_is_named_at_any_byte(self):
        shim = os.environ.get("LONGHAUL_STOP_SHIM")
        if not shim:
            self.skipTest("LONGHAUL_STOP_SHIM is not set: no shim that fills the disk")
        chance, out = random.Random(3), SCRATCH / "full-shim"
        for limit in [0, 1, self.bytes_written - 1] + [chance.randrange(self.bytes_written) for _ in range(20)]:
            done = expect(self, FAILED, *arguments(self.root, out, *self.options), says=["full-shim.partial/", "No space left on device", "free some space"],
                          environment={"LD_PRELOAD": shim, "LONGHAUL_FULL_AFTER": f"{limit}:full-shim"})
            self.assertEqual(done.stdout, "")
            self.assertEqual(list(SCRATCH.glob("full-shim*")), [], f"after {limit} bytes")
        self.prepare_again(out)

    def test_a_small_file_system(self):
        place = SCRATCH / "small"
        place.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={self.bytes_written // 2}", "tmpfs", place], capture_output=True, text=True)
        if mounted.returncode:
            self.skipTest(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
        try:
            out = place / "data"
            expect(self, FAILED, *arguments(self.root, out, *self.options), says=[f"{out}.partial/", "No space left on device"])
            self.assertEqual(list(place.iterdir()), [])
            subprocess.run(["mount", "-o", f"remount,size={4 * self.bytes_written}", place], check=True)
            self.prepare_again(out)
        finally:
            subprocess.run(["umount", place], check=True)


def table(rows, **form):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n", **form).writerows(rows)
    return text.getvalue().encode()


def archive(documents):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name, contents in documents:
            member = tarfile.TarInfo(name)
            member.size = len(contents)
            tar.addfile(member, io.BytesIO(contents))
    return data.getvalue()


def zstd(data):
    return subprocess.run(["zstd", "-q", "-c"], input=data, stdout=subprocess.PIPE, check=True).stdout


class MutatedFormats(unittest.TestCase):
    """60 seeded damages of files whose form is not lines of text."""
    CODECS = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, **({".zst": zstd} if shutil.which("zstd") else {})}

    def files(self):
        rows = [["id", "text"]] + [[i, document(i) + ', "quoted"'] for i in range(30)]
        return {"a.csv": table(rows), "b.tsv": table(rows, delimiter="\t"), "c.json": json.dumps([{"text": document(i)} for i in range(25)], indent=1).encode(),
                "d.tar": archive([(f"{i:03}.txt", document(i).encode()) for i in range(20)]),
                "e.parquet": (PARQUET / "dictionary_v1_snappy.parquet").read_bytes(), "f.parquet": (PARQUET / "plain_v1.parquet").read_bytes()}

    def mutate(self, root, chance):
        path = chance.choice(sorted(p for p in root.iterdir() if p.stat().st_size))
        data = bytearray(path.read_bytes())
        kind = chance.choice(["truncate", "flip", "flips", "extension", "compress", "compress", "cut compressed", "twice"])
        ending, compress = chance.choice(sorted(self.CODECS.items()))
        if kind == "truncate":
            data = data[:chance.randrange(len(data))]
        elif kind.startswith("flip"):
            for _ in range(1 if kind == "flip" else 20):
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        elif kind == "twice":
            data = data * 2
        elif "compress" in kind:
            data = bytearray(compress(bytes(data)))
            if kind == "cut compressed":
                data = data[:chance.randrange(1, len(data))]
        path.write_bytes(data)
        if "compress" in kind or kind == "extension":
            to = path.with_name(path.name + chance.choice([ending, "", ".gz"]) if "compress" in kind else path.stem + chance.choice([".txt", ".jsonl", ".csv", ".tar", ".parquet"]))
            path.rename(to)
            path = to
        return kind, path

    def check_account(self, root, done, out):
        (source,) = json.loads(done.stdout)["sources"]
        self.assertEqual(source["files"]["seen"], len(list(root.iterdir())))
        for account in (source["files"], source["rows"]):
            self.assertEqual(account["taken"] + sum(s["count"] for s in account["skipped"]), account["seen"])
        self.assertEqual(source["rows"]["taken"], source["train"]["documents"] + source["heldout"]["documents"])
        expect(self, DONE, "data", "inspect", out)

    def test_60_seeded_mutations(self):
        taken = 0
        for seed in range(60):
            chance = random.Random(1000 + seed)
            name = f"formats{seed}"
            root = SCRATCH / name
            for path, contents in self.files().items():
                harness.write(f"{name}/{path}", contents)
            changed = [self.mutate(root, chance) for _ in range(chance.choice([1, 1, 2]))]
            with self.subTest(seed=seed, changed=changed):
                out = SCRATCH / f"{name}-data"
                done = harness.run_program(*arguments(root, out, "--bad-rows", "skip", "--invalid-utf8", "skip-document", "--json"))
                if done.returncode == DONE:
                    taken += 1
                    self.check_account(root, done, out)
                    continue
                self.assertEqual(done.returncode, DAMAGED, done.stderr)
                self.assertTrue(any(path.name in done.stderr for _, path in changed), done.stderr)
                self.assertLess(len(done.stderr), 1500)
                self.assertEqual(list(SCRATCH.glob(f"{name}-data*")), [])
        self.assertGreater(taken, 15)
        self.assertLess(taken, 50)


class MutatedTokens(unittest.TestCase):
    """A damaged token file gives exactly its ids, or is refused: every bit of it means something."""

    def test_60_seeded_mutations(self):
        vocabulary = harness.write("tokens/vocabulary.txt", "".join(document(i) for i in range(40)))
        expect(self, DONE, *arguments(vocabulary, SCRATCH / "tokens-data"))
        tokenizer = SCRATCH / "tokens-data/tokenizer.json"
        end = json.loads((SCRATCH / "tokens-data/dataset.json").read_text())["tokenizer"]["endoftext"]
        draw, refused = random.Random(5), 0
        documents = [[draw.randrange(end) for _ in range(draw.randint(1, 40))] for _ in range(50)]
        lengths = [len(d) + 1 for d in documents]
        ids = [i for d in documents for i in (*d, end)]
        index = b"MMIDIDX\0\0" + struct.pack("<QBQQ", 1, 8, 50, 51) + struct.pack("<50i", *lengths)
        index += struct.pack("<50q", *(2 * sum(lengths[:k]) for k in range(50))) + struct.pack("<51q", *range(51))
        raw = struct.pack(f"<{len(ids)}H", *ids)
        llm = struct.pack("<256i", 20240520, 1, len(ids), *[0] * 253) + raw
        for seed in range(60):
            chance = random.Random(seed)
            token_format = ("uint16", "llm.c", "megatron")[seed % 3]
            files = {"a.bin": llm if token_format == "llm.c" else raw, **({"a.idx": index} if token_format == "megatron" else {})}
            name = chance.choice(sorted(files))
            data = bytearray(files[name])
            if chance.random() < 0.3:
                data = data[:chance.randrange(len(data))]
            else:
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
            files[name] = bytes(data)
            for path, contents in files.items():
                harness.write(f"ids{seed}/{path}", contents)
            with self.subTest(seed=seed, token_format=token_format, name=name):
                out = SCRATCH / f"ids{seed}-data"
                done = harness.run_program("data", "prepare", "--source", f"s={SCRATCH}/ids{seed}", "--tokens", token_format, "--tokenizer", tokenizer,
                                           "--heldout-fraction", "0", "--json", "--out", out)
                if done.returncode != DONE:
                    refused += 1
                    self.assertEqual(done.returncode, DAMAGED, done.stderr)
                    self.assertRegex(done.stderr, r"a\.(bin|idx)")
                    self.assertEqual(list(SCRATCH.glob(f"ids{seed}-data*")), [])
                    continue
                kept = files["a.bin"][1024 if token_format == "llm.c" else 0:]
                wanted = [i for i in struct.unpack(f"<{len(kept) // 2}H", kept) if i != end]
                shard = (out / "train/shard-00000.tokens").read_bytes()
                (count,) = struct.unpack_from("<Q", shard, 24)
                self.assertEqual([i for i in struct.unpack_from(f"<{count}H", shard, 72) if i != end], wanted)
                rows = json.loads(done.stdout)["sources"][0]["rows"]
                self.assertEqual(rows["taken"] + sum(s["count"] for s in rows["skipped"]), rows["seen"])
        self.assertGreater(refused, 20)
        self.assertLess(refused, 58)


if __name__ == "__main__":
    unittest.main(verbosity=2)
