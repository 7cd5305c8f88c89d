#!/usr/bin/env python3
"""`longhaul hf` against transformers: configurations made by its own classes, counted as the model that it builds from them."""
import json
import unittest

import harness
import torch
import transformers
from harness import DONE, expect, json_of
from transformers import (AutoConfig, AutoModelForCausalLM, GPT2Config, GPTNeoXConfig, LlamaConfig, MistralConfig, MixtralConfig, Qwen2Config,
                          Qwen3Config, Qwen3MoeConfig)

# The sizes of published models; what is left out is the class's default.
CONFIGS = {
    "llama-default": LlamaConfig(),
    "llama-3-8b": LlamaConfig(vocab_size=128256, intermediate_size=14336, num_key_value_heads=8, max_position_embeddings=8192,
                              rms_norm_eps=1e-5, rope_parameters={"rope_type": "default", "rope_theta": 500000.0}),
    "llama-3.1-405b": LlamaConfig(vocab_size=128256, hidden_size=16384, intermediate_size=53248, num_hidden_layers=126,
                                  num_attention_heads=128, num_key_value_heads=8, max_position_embeddings=131072, rms_norm_eps=1e-5,
                                  rope_parameters={"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0,
                                                   "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}),
    "llama-3.2-1b": LlamaConfig(vocab_size=128256, hidden_size=2048, intermediate_size=8192, num_hidden_layers=16, num_key_value_heads=8,
                                head_dim=64, tie_word_embeddings=True),
    "llama-with-biases": LlamaConfig(num_hidden_layers=3, attention_bias=True, mlp_bias=True, num_key_value_heads=4, head_dim=96),
    "gpt2-default": GPT2Config(),
    "gpt2-medium": GPT2Config(n_embd=1024, n_layer=24, n_head=16),
    "gpt2-xl": GPT2Config(n_embd=1600, n_layer=48, n_head=25),
    "gpt2-untied-narrow": GPT2Config(n_layer=2, n_inner=1000, tie_word_embeddings=False, activation_function="relu"),
    "qwen2-default": Qwen2Config(),
    "qwen2-0.5b": Qwen2Config(hidden_size=896, intermediate_size=4864, num_hidden_layers=24, num_attention_heads=14, num_key_value_heads=2,
                              tie_word_embeddings=True),
    "qwen2-7b": Qwen2Config(vocab_size=152064, hidden_size=3584, intermediate_size=18944, num_hidden_layers=28, num_attention_heads=28,
                            num_key_value_heads=4),
    "qwen3-default": Qwen3Config(),
    "qwen3-0.6b": Qwen3Config(hidden_size=1024, intermediate_size=3072, num_hidden_layers=28, num_attention_heads=16, num_key_value_heads=8,
                              tie_word_embeddings=True),
    "qwen3-8b": Qwen3Config(intermediate_size=12288, num_hidden_layers=36, num_key_value_heads=8, attention_bias=True),
    "qwen3-moe-default": Qwen3MoeConfig(),
    "qwen3-30b-a3b": Qwen3MoeConfig(num_hidden_layers=48, head_dim=128, max_position_embeddings=40960),
    "qwen3-moe-dense-layers": Qwen3MoeConfig(num_hidden_layers=4, mlp_only_layers=[0, 1], num_experts=8, num_experts_per_tok=2),
    "mistral-7b": MistralConfig(),
    "mistral-nemo": MistralConfig(vocab_size=131072, hidden_size=5120, num_hidden_layers=40, head_dim=128, sliding_window=None),
    "mixtral-8x7b": MixtralConfig(),
    "mixtral-8x22b": MixtralConfig(vocab_size=32768, hidden_size=6144, intermediate_size=16384, num_hidden_layers=56, num_attention_heads=48),
    "gpt-neox-default": GPTNeoXConfig(),
    "pythia-1.4b": GPTNeoXConfig(vocab_size=50304, hidden_size=2048, intermediate_size=8192, num_hidden_layers=24, num_attention_heads=16),
}


def built(config):
    """Parameters of transformers' model, each once, on the meta device: (all, those of the embedding tables of its input)."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    if config.tie_word_embeddings:
        model.tie_weights()
    inputs = model.get_input_embeddings().weight.numel()
    positions = sum(p.numel() for name, p in model.named_parameters() if ".wpe." in name)
    return sum({id(p): p.numel() for p in model.parameters()}.values()), inputs + positions


def written(name, config, **changes):
    path = harness.SCRATCH / name / "config.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    document = json.loads(config.to_json_string(use_diff=False)) | changes
    path.write_text(json.dumps({key: value for key, value in document.items() if value != "ABSENT"}))
    return path


class Configurations(unittest.TestCase):
    def test_counts_are_those_of_the_built_model(self):
        for name, config in CONFIGS.items():
            with self.subTest(name):
                document = json_of(self, "hf", written(name, config))
                total, embedding = built(config)
                self.assertEqual(document["parameters"]["total"], total)
                self.assertEqual(document["parameters"]["embedding"], embedding)
                print(f"{name}: {total:,}", flush=True)

    def test_absent_keys_have_the_defaults_of_the_class(self):
        # A file with its kind alone, and one where transformers writes only what differs from the defaults.
        for kind in ("llama", "gpt2", "qwen2", "qwen3", "qwen3_moe", "mistral", "mixtral", "gpt_neox"):
            with self.subTest(kind):
                path = harness.SCRATCH / f"bare-{kind}" / "config.json"
                path.parent.mkdir()
                path.write_text(json.dumps({"model_type": kind}))
                document, config = json_of(self, "hf", path), AutoConfig.for_model(kind)
                self.assertEqual(document["parameters"]["total"], built(config)[0])
                model, text = document["model"], config.to_dict()
                self.assertEqual(model["layers"], config.num_hidden_layers)
                self.assertEqual(model["position_rows"], config.max_position_embeddings)
                if kind != "gpt2":
                    self.assertEqual(model["rope_theta"], text["rope_parameters"]["rope_theta"])
                    self.assertEqual(model["rope_fraction"], text["rope_parameters"].get("partial_rotary_factor", 1))
                epsilon = text.get("rms_norm_eps", text.get("layer_norm_epsilon", text.get("layer_norm_eps")))
                self.assertEqual(model["norm_epsilon"], epsilon)
                self.assertEqual(model["init_std"], text["initializer_range"])
                self.assertTrue(transformers.__version__.startswith(document["transformers"]), transformers.__version__)
        for name, config in CONFIGS.items():
            with self.subTest(f"diff {name}"):
                path = harness.SCRATCH / f"diff-{name}" / "config.json"
                path.parent.mkdir()
                path.write_text(config.to_json_string(use_diff=True))
                self.assertEqual(json_of(self, "hf", path)["parameters"]["total"], built(config)[0])

    def test_the_spelling_before_version_5(self):
        path = written("old-spelling", CONFIGS["llama-3-8b"], rope_parameters="ABSENT", rope_theta=500000.0, rope_scaling=None,
                       torch_dtype="bfloat16")
        document = json_of(self, "hf", path)
        self.assertEqual(document["model"]["rope_theta"], 500000)
        self.assertEqual(document["notes"], [])
        self.assertEqual(AutoConfig.from_pretrained(path.parent).rope_parameters["rope_theta"], 500000)

    def test_what_transformers_writes_needs_no_assumption(self):
        for name in ("llama-3-8b", "gpt2-medium", "qwen3-0.6b", "mixtral-8x7b"):
            with self.subTest(name):
                document = json_of(self, "hf", written(f"whole-{name}", CONFIGS[name]))
                self.assertEqual([line for line in document["assumed"] if "head_dim" not in line and "n_inner" not in line], [])
                self.assertEqual([note for note in document["notes"] if "none of this kind" in note], [])

    def test_a_model_file_and_the_config_plan_alike(self):
        path = written("as-model", CONFIGS["qwen3-0.6b"])
        out = harness.SCRATCH / "as-model.toml"
        expect(self, DONE, "hf", path, "--out", out)
        plans = [json_of(self, "plan", "--model", model, "--cluster", "h100x8") for model in (path, out)]
        self.assertEqual(plans[0]["parameters"], plans[1]["parameters"])
        self.assertEqual(plans[0]["step"], plans[1]["step"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
