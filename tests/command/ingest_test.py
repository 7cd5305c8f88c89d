#!/usr/bin/env python3
"""Text as people have it: what is read, what is counted under a reason, what is refused and in which words.

Each kind of input stands here with the form in which it was reported by people who pretrain models, and with two more.
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
import re
import subprocess
import time
import unittest

import harness
from harness import DAMAGED, DONE, SCRATCH, USAGE, expect, json_of

SENTENCE = "The quick brown fox jumps over the lazy dog near the river bank number {}. Rain falls on the plain and nobody minds."


def document(number, lines=6):
    return "\n".join(SENTENCE.format(7 * number + k) for k in range(lines))


def row(number, **fields):
    return json.dumps({"text": document(number), **fields})


def corpus(name, files):
    """A folder of files given as {relative name: text, bytes, or a list of rows}."""
    root = SCRATCH / name
    for path, contents in files.items():
        harness.write(f"{name}/{path}", "".join(f"{line}\n" for line in contents) if isinstance(contents, list) else contents)
    return root


def arguments(source, *more, out=None, vocabulary=300):
    out = out or SCRATCH / f"{pathlib.Path(str(source)).name}-{random.randrange(10**9)}-data"
    return ["data", "prepare", "--source", f"s={source}", "--vocab-size", vocabulary, "--heldout-fraction", "0.1", "--salt", "x", "--out", out, *more]


class Ingest(unittest.TestCase):
    def prepare(self, source, *more, out=None):
        """The source of the document that preparing prints."""
        (source,) = json_of(self, *arguments(source, *more, out=out))["sources"]
        return source

    def refuse(self, source, says, *more, code=DAMAGED):
        out = SCRATCH / f"refused-{random.randrange(10**9)}"
        done = expect(self, code, *arguments(source, *more, out=out), says=says)
        self.assertEqual([p.name for p in SCRATCH.glob(out.name + "*")], [], "a refused preparation leaves nothing behind")
        return done.stderr

    def skipped(self, account):
        return {record["reason"]: (record["count"], record["names"]) for record in account["skipped"]}

    def texts(self, dataset):
        return (dataset / "heldout.txt").read_text() + (dataset / "train.txt").read_text()


class Walk(Ingest):
    def test_each_file_is_taken_or_counted_under_a_reason(self):
        root = corpus("extensions", {"a.jsonl": [row(0), row(1)], "b.jsonl.gz": gzip.compress(f"{row(20)}\n{row(21)}\n".encode()),
                                     "c.json": [row(22)], "d.TXT": document(2), "e.text": document(3), "f.md": "# notes", "g.pdf": b"%PDF-1.7",
                                     ".h.txt": "hidden", "._d.TXT": b"\0\5", "i.txt~": "old", "j.txt": "", ".git/HEAD": "ref"})
        source = self.prepare(root)
        self.assertEqual(source["files"]["seen"], 12)
        self.assertEqual(source["files"]["taken"], 5)
        self.assertEqual(self.skipped(source["files"]),
                         {"unknown extension": (2, ["f.md", "g.pdf"]), "hidden name": (3, ["._d.TXT", ".git/HEAD", ".h.txt"]),
                          "editor leftover": (1, ["i.txt~"]), "empty": (1, ["j.txt"])})
        self.assertEqual(source["train"]["documents"] + source["heldout"]["documents"], 7)
        shown = expect(self, DONE, *arguments(root)).stdout
        self.assertIn("2 files skipped: unknown extension (f.md, g.pdf)", shown)

    def test_the_account_is_kept_in_the_manifest(self):
        out = SCRATCH / "kept"
        source = self.prepare(corpus("keep", {"a.txt": document(1), "b.txt": document(2), "c.md": "no"}), out=out)
        kept = json.loads((out / "dataset.json").read_text())["sources"][0]
        self.assertEqual(kept["walk"], source["files"])
        self.assertEqual(kept["rows"], source["rows"])
        self.assertEqual(json_of(self, "data", "inspect", out)["sources"][0]["files"], source["files"])

    def test_nothing_taken_is_an_error_that_says_what_was_there(self):
        self.refuse(corpus("papers", {"a.pdf": b"%PDF-1.7", "b.pdf": b"%PDF-1.7", "notes/.x.txt": "x"}),
                    ["nothing can be taken", "3 seen", "2 unknown extension (a.pdf, b.pdf)", "1 hidden name (notes/.x.txt)", "--include"])
        (SCRATCH / "no-file").mkdir()
        self.refuse(SCRATCH / "no-file", ["it holds no file", ".jsonl"])
        self.refuse(corpus("markdown", {"a.md": "# a"}) / "a.md", ["1 unknown extension (a.md)", "--include"])

    def test_include_and_exclude(self):
        root = corpus("chosen", {"a.md": document(1), "b.md": document(2), "c.txt": document(3), "drafts/d.md": document(4)})
        self.assertEqual(self.skipped(self.prepare(root, "--include", "*.md", "--exclude", "drafts")["files"]),
                         {"excluded": (1, ["drafts/d.md"]), "not included": (1, ["c.txt"])})
        self.assertEqual(self.prepare(root, "--include", "*.md", "--include", "c.*")["files"]["taken"], 4)

    def test_links_are_followed_once(self):
        blobs = corpus("blobs", {f"sub/{i}.txt": document(i) for i in range(5)})
        root = corpus("linked", {"own.txt": document(9), "real/x.txt": document(10)})
        os.symlink("../blobs/sub", root / "linked")
        self.assertEqual(self.prepare(root)["files"]["taken"], 7)
        os.symlink("../blobs/sub", root / "twice")
        os.symlink("..", root / "real/up")
        os.symlink("nowhere", root / "lost")
        os.symlink("own.txt", root / "own-again.txt")
        os.symlink(root, blobs / "sub/back")
        source = self.prepare(root)
        self.assertEqual(source["files"]["taken"], 7)
        self.assertEqual(self.skipped(source["files"]),
                         {"link cycle": (2, ["real/up/", "linked/back/"]), "dangling link": (1, ["lost"]),
                          "seen before": (2, ["own-again.txt", "twice/"])})

    def test_sources_are_patterns_ranges_and_lists(self):
        root = corpus("many", {**{f"part-{i:03}.jsonl": [row(i)] for i in range(12)}, "x/deep.txt": document(20)})
        for source, files in ((root / "part-*.jsonl", 12), (root / "part-{003..007}.jsonl", 5), (root / "**/*.txt", 1)):
            self.assertEqual(self.prepare(source)["files"]["taken"], files, source)
        harness.write("many/files.list", "part-001.jsonl\nx\n")
        self.assertEqual(self.prepare(f"@{root}/files.list")["files"]["taken"], 2)
        harness.write("many/files.list", "part-001.jsonl\ngone.txt\n")
        self.refuse(f"@{root}/files.list", ["files.list:2", "gone.txt does not exist"])
        self.refuse(root / "part-{010..014}.jsonl", ["part-012.jsonl does not exist"])
        self.refuse(root / "*.csv", ["no file matches"])

    def test_dry_run_writes_nothing_and_estimates(self):
        root = corpus("dry", {"a.jsonl": [row(i) for i in range(3000)], "b.txt": document(1), "c.md": "no"})
        estimate = json_of(self, *arguments(root, "--dry-run", out=SCRATCH / "never"))
        self.assertEqual([p.name for p in SCRATCH.glob("never*")], [])
        made = self.prepare(root)
        (source,) = estimate["sources"]
        self.assertEqual(source["files"], made["files"])
        for key in ("documents", "bytes", "tokens"):
            self.assertAlmostEqual(source[key], made["train"][key] + made["heldout"][key], delta=0.1 * source[key], msg=key)
        harness.write("dry/d.jsonl", '{"text": null}\n')
        shown = expect(self, DAMAGED, *arguments(root, "--dry-run")).stdout
        self.assertIn("d.jsonl:1: byte 0: the field \"text\" is null", shown)


class Text(Ingest):
    def test_byte_order_marks_are_no_text(self):
        marked = corpus("bom", {"a.jsonl": b"\xef\xbb\xbf" + "".join(row(i) + "\n" for i in range(40)).encode()})
        self.assertEqual(self.prepare(marked)["rows"]["taken"], 40)
        out = SCRATCH / "bom-text-data"
        self.prepare(corpus("bom-text", {"a.txt": b"\xef\xbb\xbfOne.", "b.txt": "Two.", "c.txt": "Three."}), "--train-text", out=out)
        self.assertNotIn("\ufeff", self.texts(out))
        self.refuse(corpus("bom-16", {"a.txt": ("\ufeff" + document(1)).encode("utf-16-le")}), ["byte-order mark says utf-16le", "--encoding utf-16le"])

    def test_wide_encodings_are_named_with_the_option_that_reads_them(self):
        plain = {f"{i:02}.txt": document(i) for i in range(5)}
        for name in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"):
            root = corpus(name, {path: text.encode(name) for path, text in plain.items()})
            ours = name[:6] + name[7:]
            self.refuse(root, ["00.txt", "NUL bytes", f"probably {ours}", f"--encoding {ours}"])
            out, same = SCRATCH / f"{name}-data", SCRATCH / f"{name}-same"
            self.prepare(root, "--encoding", f"s={ours}", "--train-text", out=out)
            self.prepare(corpus("plain", plain), "--train-text", out=same)
            self.assertEqual(self.texts(out), self.texts(same))
        rows = corpus("rows-16", {"a.jsonl": "".join(row(i) + "\n" for i in range(20)).encode("utf-16-le")})
        self.refuse(rows, ["a.jsonl", "--encoding utf-16le"])
        self.assertEqual(self.prepare(rows, "--encoding", "utf-16le")["rows"]["taken"], 20)

    def test_8_bit_text_is_named_by_its_offset(self):
        french = "Le café à côté de l’église, un été. " * 20
        root = corpus("1252", {"a.txt": french.encode("cp1252"), "b.txt": document(1).encode()})
        self.refuse(root, ["a.txt: byte offset 6", "probably Windows-1252", "--encoding windows-1252"])
        out = SCRATCH / "1252-data"
        self.prepare(root, "--encoding", "windows-1252", "--train-text", out=out)
        self.assertIn(french, self.texts(out))
        source = self.prepare(root, "--invalid-utf8", "skip-document")
        self.assertEqual(self.skipped(source["rows"]), {"invalid UTF-8": (1, ["a.txt"])})
        self.assertGreater(self.prepare(root, "--invalid-utf8", "replace")["replaced_sequences"], 100)
        self.refuse(root, ["--invalid-utf8 error", "called stop now"], "--invalid-utf8", "error", code=USAGE)
        self.refuse(root, ["latin1", "windows-1252"], "--encoding", "latin1", code=USAGE)

    def test_what_is_no_text_is_named(self):
        for name, contents, says in (("a.txt", b"%PDF-1.7\n...", "a PDF document"), ("b.txt", b"PK\3\4...", "a zip archive"),
                                     ("c.jsonl", b"PAR1....", "a Parquet file"), ("d.txt", b"stray \0 byte in text", "byte offset 6: a NUL byte")):
            self.refuse(corpus(f"binary-{name[0]}", {name: contents}), [name, says])

    def test_separators_are_told_and_divide(self):
        stories = "".join(f"Once upon a time there was a cat called number {i}.\n\n<|endoftext|>\n" for i in range(300))
        root = corpus("stories", {"stories.txt": stories, "other.txt": document(1)})
        shown = expect(self, DONE, *arguments(root)).stdout
        self.assertIn('stories.txt is one document and holds 300 times <|endoftext|>; --separator "<|endoftext|>"', shown)
        out = SCRATCH / "stories-data"
        source = self.prepare(root, "--separator", "<|endoftext|>", "--train-text", out=out)
        self.assertEqual(source["rows"]["taken"], 301)
        self.assertEqual(source["undivided_files"], [])
        self.assertNotIn("endoftext", self.texts(out))
        chapters = corpus("chapters", {"a.txt": f"\n{'=' * 40}\n".join(document(i) for i in range(9)), "b.txt": f"x{document(2)}"})
        self.assertEqual(self.prepare(chapters)["undivided_files"], [{"path": "a.txt", "separator": "=" * 40, "count": 8}])
        self.assertEqual(self.prepare(chapters, "--separator", "\\n" + "=" * 40 + "\\n")["rows"]["taken"], 10)
        self.assertEqual(self.prepare(corpus("book", {"a.txt": "\n\n".join(document(i) for i in range(9))}), "--split-paragraphs")["rows"]["taken"], 9)


class Compressed(Ingest):
    CODECS = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}

    def test_the_text_is_the_same_under_any_compression_and_any_name(self):
        plain = {"a.jsonl": "".join(row(i) + "\n" for i in range(20)), "b.txt": document(30), "c.json": json.dumps([{"text": document(i)} for i in range(5)])}
        out = SCRATCH / "plain-data"
        self.prepare(corpus("not-compressed", plain), "--train-text", out=out)
        for ending, compress in self.CODECS.items():
            for name, files in (("named", {n + ending: compress(t.encode()) for n, t in plain.items()}),
                                ("not-named", {n: compress(t.encode()) for n, t in plain.items()}),
                                ("wrongly-named", {n + ".zst": compress(t.encode()) for n, t in plain.items()})):
                with self.subTest(ending=ending, name=name):
                    data = SCRATCH / f"{name}{ending}-data"
                    self.assertEqual(self.prepare(corpus(f"{name}{ending}", files), "--train-text", out=data)["rows"]["taken"], 26)
                    self.assertEqual(self.texts(data), self.texts(out))

    def test_truncated_and_damaged_data_are_named(self):
        text = "".join(row(i) + "\n" for i in range(200)).encode()
        for ending, compress in self.CODECS.items():
            data = compress(text)
            self.refuse(corpus(f"cut{ending}", {f"a.jsonl{ending}": data[:len(data) * 2 // 3]}), [f"a.jsonl{ending}", "end in the middle: the file is truncated"])
            self.refuse(corpus(f"twice{ending}", {f"a.txt{ending}": compress(compress(b"text"))}), [f"a.txt{ending}", "data, not text"])
        self.refuse(corpus("bomb", {"a.txt.gz": gzip.compress(bytes(100 << 20))}), ["a.txt.gz", "500 times"])

    def test_a_json_array_is_rows(self):
        array = json.dumps([{"text": document(0)}, {"text": None}, {"text": document(1)}], indent=1)
        root = corpus("array", {"a.json": array})
        self.refuse(root, ["a.json:5", "the field \"text\" is null"])
        self.assertEqual(self.prepare(root, "--bad-rows", "skip")["rows"]["taken"], 2)
        self.refuse(corpus("array-cut", {"a.json": array.replace("null", '"x"')[:-40]}), ["a.json:8", "cut off"])
        self.refuse(corpus("object", {"a.json": json.dumps({"text": "x"}, indent=1)}), ["a.json:1", "goes on in the next line"])


class Tables(Ingest):
    def table(self, rows, **form):
        text = io.StringIO()
        csv.writer(text, lineterminator="\n", **form).writerows(rows)
        return text.getvalue()

    def test_a_column_of_a_table_is_the_text(self):
        texts = [document(i) + f' "quoted", and\ta tab {i}' for i in range(30)]
        rows = [["id", "text", "url"]] + [[i, text, "http://x"] for i, text in enumerate(texts)]
        for name, contents in (("a.csv", self.table(rows)), ("b.tsv", self.table(rows, delimiter="\t")),
                               ("c.csv.gz", gzip.compress(b"\xef\xbb\xbf" + self.table(rows, quoting=csv.QUOTE_ALL).replace("\n1", "\r\n1").encode()))):
            with self.subTest(name):
                out = SCRATCH / f"table-{name}-data"
                self.assertEqual(self.prepare(corpus(f"table-{name}", {name: contents}), "--train-text", out=out)["rows"]["taken"], 30)
                for text in texts[:3] if name != "c.csv.gz" else []:
                    self.assertIn(text, self.texts(out))

    def test_faulty_tables_are_named(self):
        good = self.table([["id", "text"]] + [[i, document(i)] for i in range(9)])
        self.refuse(corpus("no-column", {"a.csv": good}), ["a.csv:1", 'no column "body"', '"id", "text"'], "--text-field", "body")
        line = good.count("\n") + 1
        for name, bad, reason in (("fields", "a,b,c\n", "wrong number of fields"), ("quotes", '1,"a"b\n', "wrong quotes"), ("open", '1,"a\n', "cut off")):
            with self.subTest(name):
                root = corpus(f"table-{name}", {"a.csv": good + bad})
                self.refuse(root, [f"a.csv:{line}", f"byte {len(good.encode())}"])
                self.assertEqual(self.skipped(self.prepare(root, "--bad-rows", "skip")["rows"]), {reason: (1, [f"a.csv:{line}"])})


class Rows(Ingest):
    def test_bad_rows_are_named_or_counted(self):
        good = [row(i) for i in range(40)]
        kinds = {"null": ('{"text": null, "id": 3}', "the field \"text\" is null", "null"),
                 "missing": ('{"body": "x"}', "no field \"text\"; the row has \"body\"", "missing field"),
                 "number": ('{"text": 12.5}', "is a number (12.5), not a text", "not a text"),
                 "twice": ('{"text": "a", "text": "b"}', "is there 2 times", "repeated field"),
                 "surrogate": (r'{"text": "\udc00"}', "half of a surrogate pair", "lone surrogate"),
                 "concatenated": ('{"text": "a"}{"text": "b"}', "a second document begins", "several documents in a row"),
                 "quotes": ("{'text': 'a'}", "single quotes", "single quotes"),
                 "bare": ("[1, 2]", "the row is a list", "not an object")}
        for name, (bad, says, reason) in kinds.items():
            with self.subTest(name):
                root = corpus(f"row-{name}", {"a.jsonl": good + [bad] + good})
                byte = sum(len(line) + 1 for line in good)
                message = self.refuse(root, ["a.jsonl:41", f"byte {byte}", says, "--bad-rows skip"])
                self.assertNotRegex(message, r"(?i)simdjson|tape|superfluous|parser")
                out = SCRATCH / f"row-{name}-data"
                source = self.prepare(root, "--bad-rows", "skip", out=out)
                self.assertEqual(source["rows"], {"seen": 81, "taken": 80, "skipped": [{"reason": reason, "count": 1, "names": ["a.jsonl:41"]}]})
                (rejected,) = [json.loads(line) for line in (out / "rejected.jsonl").read_text().splitlines()]
                self.assertEqual((rejected["source"], rejected["file"], rejected["line"], rejected["byte"], rejected["reason"], rejected["row"]),
                                 ("s", "a.jsonl", 41, byte, reason, bad))

    def test_a_truncated_last_line_and_a_pretty_printed_document(self):
        self.refuse(corpus("truncated", {"a.jsonl": row(1) + "\n" + row(2)[:-20]}), ["a.jsonl:2", "cut off"])
        self.refuse(corpus("pretty", {"a.jsonl": json.dumps({"text": "x"}, indent=2)}), ["a.jsonl:1", "goes on in the next line"])

    def test_what_can_be_mended_is(self):
        root = corpus("mend", {"a.jsonl": [row(1), r'{"text": "half \ud83d of it"}', '{"text": "first", "text": "last"}', '{"text": null}']})
        out = SCRATCH / "mended"
        source = self.prepare(root, "--bad-rows", "replace", "--repeated-keys", "last", "--train-text", out=out)
        self.assertEqual(self.skipped(source["rows"]), {"null": (1, ["a.jsonl:4"])})
        self.assertIn("half \ufffd of it", self.texts(out))
        self.assertIn("last", self.texts(out))

    def test_the_text_is_found_by_a_path(self):
        root = corpus("path", {"a.jsonl": [json.dumps({"message": {"parts": ["", document(i)]}}) for i in range(9)]})
        self.assertEqual(self.prepare(root, "--text-field", "message.parts.1")["rows"]["taken"], 9)
        self.refuse(root, ["a.jsonl:1", "message.parts.2", "a list of 2"], "--text-field", "message.parts.2")


class Metadata(Ingest):
    def test_chosen_fields_are_kept_for_each_document(self):
        root = corpus("metadata", {"a.jsonl": [row(i, url=f"http://x/{i}", meta={"id": [i]}) for i in range(20)] + ['{"text": null, "url": "bad"}'],
                                   "b.csv": 'text,url\n"one, two",http://y\n', "c.txt": document(40)})
        out = SCRATCH / "metadata-data"
        self.prepare(root, "--bad-rows", "skip", "--metadata", "url,meta.id.0", out=out)
        found = [json.loads(line) for split in ("train", "heldout") for line in (out / split / "documents.jsonl").read_text().split("\n") if line]
        wanted = [{"source": "s", "file": "a.jsonl", "line": i + 1, "metadata": {"url": f"http://x/{i}", "meta.id.0": i}} for i in range(20)]
        wanted += [{"source": "s", "file": "b.csv", "line": 2, "metadata": {"url": "http://y", "meta.id.0": None}},
                   {"source": "s", "file": "c.txt", "line": 0, "metadata": None}]
        self.assertCountEqual(found, wanted)
        counts = json.loads((out / "dataset.json").read_text())
        self.assertEqual((out / "train/documents.jsonl").read_text().count("\n"), counts["train"]["counts"]["documents"])
        (out / "heldout/documents.jsonl").write_text("{}\n")
        expect(self, DAMAGED, "data", "inspect", out, says=["documents.jsonl"])
        self.refuse(root, ["--metadata", "empty"], "--metadata", "url,", code=USAGE)


class Mutations(Ingest):
    """Good inputs, damaged at random: each file is taken rightly or refused by name, and the account adds up."""

    @staticmethod
    def expected_rows(path):
        """(rows, documents) of one file by rules written out here again."""
        data = path.read_bytes()
        for magic, decompress in ((b"\x1f\x8b", gzip.decompress), (b"BZh", bz2.decompress), (b"\xfd7zXZ", lzma.decompress)):
            data = decompress(data) if data.startswith(magic) else data
        data = data[3:] if data.startswith(b"\xef\xbb\xbf") else data
        if re.sub(r"\.(gz|bz2|xz)$", "", path.name).endswith(".txt"):
            try:
                return 1, int(bool(data) and "\0" not in data.decode())
            except UnicodeDecodeError:
                return 1, 0
        rows = documents = 0
        for line in data.split(b"\n"):
            if not line.strip(b" \t\r"):
                continue
            rows += 1
            repeated = []

            def pairs(items):
                repeated.extend(k for i, (k, _) in enumerate(items) if k == "text" and k in [other for other, _ in items[:i]])
                return dict(items)

            try:
                value = json.loads(line.decode(), object_pairs_hook=pairs, parse_constant=lambda name: 1 / 0)
                documents += not repeated and isinstance(value, dict) and isinstance(value.get("text"), str) and bool(value["text"].encode())
            except (ValueError, UnicodeError, ZeroDivisionError):
                pass
        return rows, documents

    def mutate(self, root, chance):
        path = chance.choice(sorted(p for p in root.rglob("*") if p.is_file() and not p.is_symlink() and p.stat().st_size))
        data = bytearray(path.read_bytes())
        kind = chance.choice(["truncate", "flip", "flips", "encoding", "extension", "compress", "link", "empty"])
        if kind == "truncate":
            path.write_bytes(data[:chance.randrange(len(data))])
        elif kind.startswith("flip"):
            for _ in range(1 if kind == "flip" else 20):
                at = chance.randrange(len(data))
                data[at] ^= 1 << chance.randrange(8)
            path.write_bytes(data)
        elif kind == "encoding":
            path.write_bytes(data.decode(errors="replace").encode(chance.choice(["utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "utf-8-sig"]), "replace"))
        elif kind == "extension":
            path.rename(path.with_name(path.name + chance.choice([".bak", ".md", "~", ".txt", ".jsonl", ".JSONL", ".part"])))
        elif kind == "compress":
            ending, compress = chance.choice(sorted(Compressed.CODECS.items()))
            path.write_bytes(compress(bytes(data)))
            path.rename(path.with_name(path.name + chance.choice([ending, ".gz", ""])))
        elif kind == "link":
            os.symlink(chance.choice(["..", ".", "nowhere", path.name, os.path.relpath(root / "sub", path.parent)]), path.parent / f"link{chance.randrange(99)}")
        else:
            path.write_bytes(b"")
        return kind, path

    def test_60_seeded_mutations(self):
        taken = 0
        for seed in range(60):
            chance = random.Random(seed)
            name = f"mutation{seed}"
            root = corpus(name, {"a.txt": document(1) + " é ü", "b.txt": document(2), "sub/c.jsonl": [row(i, note="ñ") for i in range(30)],
                                 "sub/deep/d.jsonl": [row(i) for i in range(40, 60)], "sub/e.txt": "Ein Satz über Äpfel."})
            changed = [self.mutate(root, chance) for _ in range(chance.choice([1, 1, 3]))]
            with self.subTest(seed=seed, changed=changed):
                out = SCRATCH / f"{name}-data"
                done = harness.run_program(*arguments(root, "--bad-rows", "skip", "--invalid-utf8", "skip-document", "--json", out=out))
                if done.returncode != DONE:
                    self.assertEqual(done.returncode, DAMAGED, done.stderr)
                    self.assertTrue(any(path.name in done.stderr for _, path in changed), done.stderr)
                    self.assertEqual(list(SCRATCH.glob(f"{name}-data*")), [])
                    continue
                taken += 1
                (source,) = json.loads(done.stdout)["sources"]
                there = [pathlib.Path(folder) / file for folder, folders, files in os.walk(root)
                         for file in files + [f for f in folders if os.path.islink(os.path.join(folder, f))]]
                files, rows = source["files"], source["rows"]
                self.assertEqual(files["seen"], len(there), source)
                self.assertEqual(files["taken"] + sum(s["count"] for s in files["skipped"]), files["seen"])
                self.assertEqual(rows["taken"] + sum(s["count"] for s in rows["skipped"]), rows["seen"])
                read = json.loads((out / "dataset.json").read_text())["sources"][0]["files"]
                wanted = [self.expected_rows(root / file["path"]) for file in read]
                self.assertEqual((rows["seen"], rows["taken"]), tuple(map(sum, zip(*wanted))), source)
                rejected = out / "rejected.jsonl"
                self.assertEqual(rejected.read_text().count("\n") if rejected.exists() else 0,
                                 sum(s["count"] for s in rows["skipped"] if s["reason"] != "empty"))
        self.assertGreater(taken, 30)


class Restart(Ingest):
    KILLS = int(os.environ.get("LONGHAUL_KILLS", "17"))

    def files_of(self, dataset):
        return {str(p.relative_to(dataset)): p.read_bytes() for p in sorted(dataset.rglob("*")) if p.is_file()}

    def test_the_bytes_are_the_same_after_any_kill_and_for_any_number_of_threads(self):
        root = corpus("killed", {f"{i}.jsonl": [row(k, note=i) for k in range(i * 400, i * 400 + 400)] + ['{"text": null}'] for i in range(8)})
        prepare = arguments(root, "--bad-rows", "skip", "--train-text", "--metadata", "note", out=SCRATCH / "whole", vocabulary=600)
        begin = time.monotonic()
        expect(self, DONE, *prepare)
        seconds = time.monotonic() - begin
        whole = self.files_of(SCRATCH / "whole")
        self.assertIn("rejected.jsonl", whole)
        chance = random.Random(12)
        for threads in (1, 2, 3):
            out = SCRATCH / f"killed-{threads}"
            again = [str(a) for a in prepare[:prepare.index("--out") + 1]] + [str(out), *prepare[prepare.index("--out") + 2:], "--threads", str(threads)]
            for _ in range(self.KILLS):
                process = subprocess.Popen([harness.LONGHAUL, *again], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                time.sleep(chance.uniform(0, seconds))
                process.kill()
                process.wait()
                if out.exists():
                    self.assertEqual(self.files_of(out).keys() - {"progress.jsonl"}, whole.keys())
            expect(self, DONE, *again)
            self.assertEqual(self.files_of(out), whole, f"{threads} threads")
            self.assertFalse(out.with_name(out.name + ".partial").exists())


if __name__ == "__main__":
    unittest.main(verbosity=2)
