#!/usr/bin/env python3
"""What `longhaul export hf` writes is loaded unchanged by transformers, and computes and encodes the same as longhaul."""
import unittest

import harness
import reference_model
import support
import torch
from harness import DONE, expect
from transformers import AutoModelForCausalLM, AutoTokenizer

TEXTS = ["A plain sentence.", "  spaces   and\ttabs\n\n", "naïve façade, 鯨と海, 🐋!", "1234567 x=3.14;", "it's we'll THEY'D", ""]


class Export(unittest.TestCase):
    done = {}

    def exported(self, name):
        """(run file, exported folder) of a short run, trained once for all tests."""
        if name not in self.done:
            self.done[name] = self.train_and_export(name)
        return self.done[name]

    def train_and_export(self, name):
        run_file = support.write_case(f"export-{name}", support.CASES[name], run={"steps": 10}, precision=support.FP32,
                                      optimizer={"ema_beta": 0.0})
        expect(self, DONE, "train", run_file)
        folder = run_file.parent / "hf"
        expect(self, DONE, "export", "hf", run_file, "--out", folder)
        return run_file, folder

    def test_logits(self):
        for name in support.CASES:
            with self.subTest(name):
                run_file, folder = self.exported(name)
                model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="sdpa").float().eval()
                step = support.debug_step(self, run_file, run_file.parent / "step", "--logits")
                with torch.no_grad():
                    theirs = reference_model.logits(model, step["batch"])
                apart = (step["logits"]["logits"] - theirs).abs().max().item()
                print(f"{name}: logits at most {apart:.1e} apart, of size {theirs.abs().max().item():.1f}")
                self.assertLess(apart, 1e-4)

    def test_tokenizer(self):
        run_file, folder = self.exported("llama-grouped")
        theirs = AutoTokenizer.from_pretrained(folder)
        for text in TEXTS:
            ours = expect(self, DONE, "tokenizer", "encode", "--tokenizer", folder / "tokenizer.json", input=text).stdout.split()
            self.assertEqual([int(i) for i in ours], theirs.encode(text, add_special_tokens=False), text)
            self.assertEqual(theirs.decode([int(i) for i in ours], clean_up_tokenization_spaces=False), text)

    def test_generation_runs(self):
        run_file, folder = self.exported("gpt2-tied")
        model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
        ids = tokenizer("a", return_tensors="pt").input_ids
        made = model.generate(ids, max_new_tokens=5, do_sample=False)
        self.assertEqual(made.shape[1], ids.shape[1] + 5)


if __name__ == "__main__":
    torch.set_num_threads(1)  # tiny models: more threads only wait for each other
    unittest.main(verbosity=2)
