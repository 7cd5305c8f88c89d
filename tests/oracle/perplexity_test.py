#!/usr/bin/env python3
"""Perplexity of a text by `longhaul eval` equals that of transformers' model and tokenizer on the exported run, with and without
overlapping windows: the sliding window of transformers' guide on perplexity, with every target counted once."""
import json
import math
import unittest

import harness
import support
import torch
from end_of_text_test import LLAMA3, byte_tokenizer
from harness import DONE, expect, json_of
from transformers import AutoModelForCausalLM, AutoTokenizer

# (case of support.CASES, documents isolated, whether begin and end are two tokens)
CASES = [("llama-grouped", True, False), ("gpt2-odd", False, False), ("qwen2-bias", False, True), ("qwen2-bias", True, True)]


def texts():
    """One short, one longer than a context, one of several documents in several scripts."""
    long = "".join(path.read_text(encoding="utf-8") for path in sorted((harness.SCRATCH / "corpus").iterdir())[:3])
    return {"short": ["A plain sentence."], "long": [long],
            "several": ["naïve façade, 鯨と海, 🐋!\n", long[:300], "x", "  spaces\u00a0and\ttabs \u3000\n\n", long[500:1500]]}


def spans(tokenizer, documents, isolated, ends=True):
    """Token ids of what is predicted without a look at the rest: each document, or all of them, between begin and end tokens.
    ends: whether the last token of a document's text has its end for a target (isolated documents only)."""
    begin, end = tokenizer.bos_token_id, tokenizer.eos_token_id
    framed = [[begin, *tokenizer.encode(text, add_special_tokens=False), *([end] if ends else [])] for text in documents]
    if isolated:
        return framed
    joined = framed[0]
    for span in framed[1:]:  # where one token is both, the end of a document is the begin of the next
        joined = joined + (span[1:] if begin == end else span)
    return [joined]


def nats(model, ids, length, stride):
    """−ln p summed over all tokens but the first, and their number: windows of `length` inputs, `stride` apart."""
    total, counted = 0.0, 1
    for begin in range(0, len(ids), stride):
        end = min(begin + length + 1, len(ids))
        with torch.no_grad():
            logits = model(torch.tensor([ids[begin:end - 1]])).logits[0]
        losses = torch.nn.functional.cross_entropy(logits, torch.tensor(ids[begin + 1:end]), reduction="none").double()
        total += losses[counted - begin - 1:].sum().item()
        counted = end
        if end == len(ids):
            break
    return total, len(ids) - 1


class Perplexity(unittest.TestCase):
    def data(self, two_tokens):
        if not two_tokens:
            return harness.dataset()
        directory = harness.SCRATCH / "two-tokens"
        if not directory.exists():
            tokenizer = harness.write("two-tokens.json", byte_tokenizer(LLAMA3))
            expect(self, DONE, "data", "prepare", "--source", f"text={harness.SCRATCH / 'corpus'}", "--tokenizer", tokenizer, "--out", directory)
        return directory

    def exported(self, name, isolated, two_tokens):
        """A short run in fp32, and what transformers makes of its export."""
        run_file = support.write_case(f"perplexity-{name}-{isolated}", support.CASES[name], run={"steps": 30}, precision=support.FP32,
                                      optimizer={"ema_beta": 0.0},
                                      data={"directory": str(self.data(two_tokens)), "isolate_documents": isolated})
        expect(self, DONE, "train", run_file)
        folder = run_file.parent / "hf"
        expect(self, DONE, "export", "hf", run_file, "--out", folder)
        model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="sdpa").float().eval()
        return run_file, model, AutoTokenizer.from_pretrained(folder)

    def compare(self, what, ours, parts, documents):
        total, targets = (sum(part[i] for part in parts) for i in (0, 1))
        self.assertEqual(ours["targets"], targets)
        theirs = {"perplexity": math.exp(total / targets),
                  "bits_per_byte": total / math.log(2) / sum(len(text.encode()) for text in documents),
                  "word_perplexity": math.exp(total / sum(len(text.split()) for text in documents))}
        apart = {key: abs(ours[key] / value - 1) for key, value in theirs.items()}
        print(f"{what}: perplexity {ours['perplexity']:.4f}, {apart['perplexity']:.1e} apart")
        for key, difference in apart.items():
            self.assertLess(difference, 1e-4, key)

    def test_it_is_that_of_transformers(self):
        harness.dataset()
        for name, isolated, two_tokens in CASES:
            run_file, model, tokenizer = self.exported(name, isolated, two_tokens)
            self.assertEqual(tokenizer.bos_token_id != tokenizer.eos_token_id, two_tokens)
            length = support.CASES[name]["batch"]["sequence_length"]
            for kind, documents in texts().items():
                lines = "".join(json.dumps({"text": text}) + "\n" for text in documents)
                path = harness.write(f"{name}-{isolated}-{kind}.jsonl", lines)
                for stride in (length, length // 3, 1):
                    what = f"{name}{' isolated' if isolated else ''} {kind} stride {stride}"
                    with self.subTest(what):
                        parts = [nats(model, ids, length, stride) for ids in spans(tokenizer, documents, isolated)]
                        self.compare(what, json_of(self, "eval", run_file, "--text", path, "--stride", stride), parts, documents)
            if isolated:
                parts = [nats(model, ids, length, length) for ids in spans(tokenizer, documents, isolated, ends=False)]
                ours = json_of(self, "eval", run_file, "--text", path, "--set", "data.end_of_text_loss=false")
                self.compare(f"{name} isolated {kind} without ends", ours, parts, documents)


if __name__ == "__main__":
    torch.set_num_threads(1)  # tiny models: more threads only wait for each other
    unittest.main(verbosity=2)
