#!/usr/bin/env python3
"""What `longhaul emit` writes is read by the systems themselves: torchtitan's ConfigManager and model, megatron-core's TransformerConfig
and GPTModel. The values read back are those of the layout that was asked for; parameters are counted on their models."""
import json
import os
import re
import subprocess
import sys
import unittest
import unittest.mock
import warnings

import harness
import torch
import torch.nn.functional as F
from harness import DONE, expect, json_of

warnings.filterwarnings("ignore")
sys.path.insert(0, str(harness.SCRATCH))

LLAMA = ["--set", "batch.sequence_length=8192", "--set", "batch.global_batch=128"]
# model, cluster, layout, what else is asked
TORCHTITAN = {
    "fsdp": ("llama-3-8b", "h100x64", "dp=16,tp=4,zero=3,sp=1,recompute=layer", LLAMA),
    "hsdp_cp": ("llama-3-8b", "h100x64", "dp=16,cp=4,zero=2,shard=8", LLAMA),
    "ddp": ("llama-2-7b", "h200x8", "dp=8", ["--set", "batch.global_batch=16", "--set", "optimizer.clip_norm=0"]),
    "pipeline": ("llama-2-70b", "h100x64", "dp=4,tp=4,pp=4,zero=2,sp=1", ["--set", "batch.global_batch=128", "--set", "batch.micro_batch=2"]),
    "interleaved": ("llama-2-70b", "h100x64", "dp=4,tp=4,pp=4,virtual=5,schedule=interleaved,zero=2,sp=1,recompute=selective",
                    ["--set", "batch.global_batch=128", "--set", "schedule.kind=wsd"]),
    "uneven": ("llama-7b", "h100x24", "dp=4,pp=6,zero=3", ["--set", "batch.global_batch=64", "--set", "schedule.kind=constant"]),
    "tied": ("llama-3.2-1b", "h100x8", "dp=8,zero=3", ["--set", "batch.global_batch=64"]),
    "405b": ("llama-3.1-405b", "h100x1024", "dp=8,tp=8,pp=16,zero=2,sp=1,recompute=layer", LLAMA),
}
MEGATRON = {
    "llama": ("llama-3-8b", "h100x64", "dp=16,tp=4,zero=1,sp=1", LLAMA),
    "interleaved": ("llama-2-70b", "a100x64", "dp=2,tp=8,pp=4,virtual=5,schedule=interleaved,zero=1,sp=1,recompute=layer", LLAMA),
    "uneven": ("llama-7b", "h100x24", "dp=4,pp=6,zero=1,recompute=selective", ["--set", "batch.global_batch=64"]),
    "stages": ("llama-7b", "h100x16", "dp=4,pp=4,stages=7+9+9+7", ["--set", "batch.global_batch=64"]),
    "gpt2": ("gpt2-1.5b", "a100x8", "dp=8", ["--set", "batch.global_batch=64"]),
    "gpt3": ("gpt3-175b", "a100x128", "dp=2,tp=8,pp=8,zero=1,sp=1,recompute=layer", ["--set", "batch.global_batch=64"]),
    "fsdp_cp": ("qwen3-8b", "h100x64", "dp=16,cp=4,zero=3,shard=32", LLAMA),
    "qwen2": ("qwen2.5-7b", "h100x8", "dp=2,tp=4,zero=2,sp=1", ["--set", "batch.global_batch=64"]),
    "experts": ("mixtral-8x7b", "h100x64", "dp=8,tp=4,pp=2,ep=8,zero=1,sp=1", ["--set", "batch.global_batch=64"]),
    "dense_layers": ("qwen3-30b-a3b", "h100x64", "dp=64,ep=8,zero=1",
                     ["--set", "batch.global_batch=64", "--set", "model.dense_layers=1", "--set", "model.experts_shared=1"]),
}


LLAMA3_ROPE = {"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}


def llama3(test, system):
    """What is emitted of a config.json with scaled rotations, the sentence that says how to have them, and transformers' frequencies."""
    from transformers import LlamaConfig
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
    path = harness.SCRATCH / f"llama3_{system}.json"
    path.write_text(json.dumps({"model_type": "llama", "rope_theta": 500000.0, "rope_scaling": LLAMA3_ROPE}))
    document = json_of(test, "emit", "--for", system, "--model", path, "--cluster", "h100x8", "--layout", "dp=8")
    said = next(each for each in document["not_expressed"] if each.startswith("rope_type = llama3"))
    config = LlamaConfig(rope_parameters=LLAMA3_ROPE | {"rope_theta": 500000.0})
    return document, said, ROPE_INIT_FUNCTIONS["llama3"](config, "cpu")[0]


def parse(layout):
    values = dict(part.split("=") for part in layout.split(","))
    return lambda key, default=1: int(values.get(key, default))


def emit(test, system, name, cases):
    model, cluster, layout, more = cases[name]
    out = harness.SCRATCH / f"{system}_{name}.{'py' if system == 'torchtitan' else 'sh'}"
    document = json_of(test, "emit", "--for", system, "--model", model, "--cluster", cluster, "--layout", layout, "--tokens", "100B", *more,
                       "--out", out)
    test.assertEqual(out.read_text(), document["text"])
    return document, parse(layout), out


class Torchtitan(unittest.TestCase):
    def test_the_configuration_is_read_as_asked(self):
        from torchtitan.config import ConfigManager
        for name in TORCHTITAN:
            with self.subTest(name):
                document, layout, out = emit(self, "torchtitan", name, TORCHTITAN)
                config = ConfigManager().parse_args(["--module", out.stem, "--config", "train"])
                settings, parallelism, training = document["settings"], config.parallelism, config.training
                self.assertEqual(parallelism.tensor_parallel_degree, layout("tp"))
                self.assertEqual(parallelism.pipeline_parallel_degree, layout("pp"))
                self.assertEqual(parallelism.context_parallel_degree, layout("cp"))
                dp = parallelism.data_parallel_shard_degree * parallelism.data_parallel_replicate_degree
                self.assertEqual(dp, layout("dp"))
                self.assertEqual(dp * layout("tp") * layout("pp") * layout("cp"), document["devices"])
                if layout("zero", 0):
                    shards = layout("shard", layout("dp") * layout("cp"))
                    self.assertEqual(parallelism.data_parallel_shard_degree * layout("cp"), shards)
                self.assertEqual(parallelism.enable_sequence_parallel, bool(layout("sp", 0)))
                self.assertEqual(training.seq_len, settings["training"]["seq_len"])
                self.assertEqual(training.steps, document["steps"])
                self.assertEqual(training.steps, -(-100_000_000_000 // (training.global_batch_size * training.seq_len)))
                self.assertEqual(training.global_batch_size % (training.local_batch_size * dp), 0)
                if layout("pp") > 1:
                    self.assertEqual(training.local_batch_size, training.global_batch_size // dp)
                    self.assertEqual(parallelism.pipeline_parallel_microbatch_size, document["micro_batch"])
                else:
                    self.assertEqual(training.local_batch_size, document["micro_batch"])
                for section, values in settings.items():
                    for key, value in (values if isinstance(values, dict) and section not in ("model", "optimizer") else {}).items():
                        self.assertEqual(getattr(getattr(config, section), key), value, (section, key))
                group = config.optimizer.param_groups[0]
                self.assertEqual(group.optimizer_kwargs["lr"], settings["optimizer"]["lr"])
                recompute = config.activation_checkpoint
                self.assertEqual(None if recompute is None else type(recompute).__qualname__.split(".")[0], settings["activation_checkpoint"])

    def test_its_model_has_the_parameters(self):
        from torchtitan.config import ConfigManager
        from torchtitan.models.llama3 import Llama3Model
        for name in TORCHTITAN:
            with self.subTest(name):
                document, _, out = emit(self, "torchtitan", name, TORCHTITAN)
                spec = ConfigManager().parse_args(["--module", out.stem, "--config", "train"]).model_spec
                self.assertIsInstance(spec.model, Llama3Model.Config)
                with torch.device("meta"):
                    model = spec.model.build()
                count = sum(p.numel() for p in {id(p): p for p in model.parameters()}.values())
                if document["settings"]["model"]["enable_weight_tying"] and model.lm_head.weight is not model.tok_embeddings.weight:
                    count -= model.lm_head.weight.numel()  # tied when the model is initialised
                self.assertEqual(count, document["parameters"])
                print(f"torchtitan {name}: {count:,}", flush=True)

    def test_its_pipeline_takes_the_parts(self):
        # Each module once, in order, and as many parts as the schedule's ranks take.
        from torch.distributed.pipelining.schedules import PipelineScheduleMulti, get_schedule_class
        from torchtitan.config import ConfigManager
        for name in ("pipeline", "interleaved", "uneven", "405b"):
            with self.subTest(name):
                document, layout, out = emit(self, "torchtitan", name, TORCHTITAN)
                config = ConfigManager().parse_args(["--module", out.stem, "--config", "train"])
                parts = config.parallelism.module_fqns_per_model_part
                layers = document["settings"]["model"]["n_layers"]
                self.assertEqual([m for part in parts for m in part], ["tok_embeddings", *(f"layers.{i}" for i in range(layers)), "norm", "lm_head"])
                self.assertEqual(len(parts), layout("pp") * layout("virtual"))
                schedule = get_schedule_class(config.parallelism.pipeline_parallel_schedule)
                self.assertEqual(issubclass(schedule, PipelineScheduleMulti), layout("virtual") > 1)

    def test_learning_rates_are_those_of_the_plan(self):
        from torchtitan.config import ConfigManager
        for kind in ("cosine", "linear", "constant", "wsd"):
            with self.subTest(kind):
                out = harness.SCRATCH / f"schedule_{kind}.py"
                expect(self, DONE, "emit", "--for", "torchtitan", "--model", "llama-3-8b", "--cluster", "h100x8", "--layout", "dp=8,zero=3",
                       "--set", "run.steps=1000", "--set", f"schedule.kind={kind}", "--set", "schedule.warmup_steps=50",
                       "--set", "schedule.min_learning_rate=0.00003", "--set", "optimizer.learning_rate=0.0003", "--out", out)
                config = ConfigManager().parse_args(["--module", out.stem, "--config", "train"])
                parameter = torch.nn.Parameter(torch.zeros(1))
                optimizer = torch.optim.AdamW([parameter], lr=3e-4)

                class Container(list):
                    optimizers = [optimizer]

                schedulers = config.lr_scheduler.build(optimizers=Container([optimizer]), training_steps=1000)
                rate = schedulers.schedulers[0].lr_lambdas[0]
                self.assertAlmostEqual(rate(0), 1 / 50)
                self.assertAlmostEqual(rate(49), 1)
                tail = {"cosine": 0.1, "linear": 0.1, "constant": 1, "wsd": 0.1}[kind]
                self.assertAlmostEqual(rate(999), tail, delta=0.03)


    def test_scaled_rotations_are_had_as_it_says(self):
        from torchtitan.config import ConfigManager
        document, said, frequencies = llama3(self, "torchtitan")
        asked = re.search('scaling="llama", .*=8192', said)[0]
        self.assertEqual(document["text"].count('scaling="none"'), 1)
        out = harness.SCRATCH / "scaled_rotations.py"
        out.write_text(document["text"].replace('scaling="none"', asked))
        config = ConfigManager().parse_args(["--module", out.stem, "--config", "train"])
        rope = config.model_spec.model.layers[0].attention.rope.build()
        torch.testing.assert_close(rope.cache[1].angle(), frequencies)


class Megatron(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="0", RANK="0", WORLD_SIZE="1")
        store = torch.distributed.HashStore()
        torch.distributed.init_process_group("gloo", rank=0, world_size=1, store=store)
        from megatron.core import parallel_state
        parallel_state.initialize_model_parallel()

    @classmethod
    def tearDownClass(cls):
        torch.distributed.destroy_process_group()

    @staticmethod
    def arguments(document):
        fields = dict(document["settings"]["transformer_config"])
        fields["activation_func"] = {"silu": F.silu, "gelu": F.gelu}[fields["activation_func"]]
        for key in ("params_dtype", "pipeline_dtype"):
            if key in fields:
                fields[key] = getattr(torch, fields[key])
        return fields

    def test_transformer_config_takes_the_fields(self):
        from megatron.core.transformer.transformer_config import TransformerConfig
        for name in MEGATRON:
            with self.subTest(name):
                document, layout, _ = emit(self, "megatron", name, MEGATRON)
                fields = self.arguments(document)
                config = TransformerConfig(**fields)
                for field, value in fields.items():
                    if field != "pipeline_model_parallel_layout":
                        self.assertEqual(getattr(config, field), value, field)
                self.assertEqual(config.tensor_model_parallel_size, layout("tp"))
                self.assertEqual(config.pipeline_model_parallel_size, layout("pp"))
                self.assertEqual(config.context_parallel_size, layout("cp"))
                self.assertEqual(config.expert_model_parallel_size, layout("ep"))
                self.assertEqual(config.sequence_parallel, bool(layout("sp", 0)))
                self.assertEqual(config.virtual_pipeline_model_parallel_size, layout("virtual") if layout("virtual") > 1 else None)
                if name == "stages":
                    layers = [[str(each).count("decoder") for each in stage] for stage in config.pipeline_model_parallel_layout.layout]
                    self.assertEqual([sum(str(layer).count("decoder") for layer in rank[0]) for rank in
                                      config.pipeline_model_parallel_layout.layout], [7, 9, 9, 7], layers)

    def test_its_model_has_the_parameters(self):
        # One rank of everything: the model itself, whatever its layout.
        from megatron.core.models.gpt import GPTModel
        from megatron.core.models.gpt.gpt_layer_specs import get_gpt_decoder_block_spec
        from megatron.core.transformer.transformer_config import TransformerConfig
        parallel = ("tensor_model_parallel_size", "pipeline_model_parallel_size", "context_parallel_size", "expert_model_parallel_size",
                    "expert_tensor_parallel_size", "virtual_pipeline_model_parallel_size", "pipeline_model_parallel_layout",
                    "sequence_parallel", "pipeline_dtype")
        for name in ("llama", "gpt2", "fsdp_cp", "qwen2", "experts", "interleaved", "gpt3"):
            with self.subTest(name):
                document, _, _ = emit(self, "megatron", name, MEGATRON)
                fields = {key: value for key, value in self.arguments(document).items() if key not in parallel}
                config = TransformerConfig(**fields, use_cpu_initialization=True, perform_initialization=False, transformer_impl="local")
                spec = get_gpt_decoder_block_spec(config, use_transformer_engine=False, normalization=config.normalization)
                with torch.device("meta"), unittest.mock.patch("torch.cuda.Stream"):  # an expert layer makes one; here is no GPU
                    model = GPTModel(config=config, transformer_layer_spec=spec, **document["settings"]["gpt_model"])
                count = sum(p.numel() for p in model.parameters())
                table = json_of(self, "plan", "--model", MEGATRON[name][0], "--cluster", MEGATRON[name][1], "--layout", MEGATRON[name][2],
                                *MEGATRON[name][3])["parameters"]["total"]
                self.assertEqual(document["parameters"], table)
                resolved = {k: v["value"] for k, v in json_of(self, "config", "--model", MEGATRON[name][0])["model"].items()}
                tables = 1 if resolved["tied_embeddings"] else 2
                padding = (document["settings"]["gpt_model"]["vocab_size"] - resolved["vocab"]) * resolved["width"] * tables
                self.assertEqual(count, document["parameters"] + padding)
                print(f"megatron {name}: {count:,}", flush=True)

    def test_learning_rates_are_those_of_the_plan(self):
        from megatron.core.optimizer_param_scheduler import OptimizerParamScheduler
        for kind in ("cosine", "linear", "constant", "wsd", "inverse_sqrt"):
            with self.subTest(kind):
                document = json_of(self, "emit", "--for", "megatron", "--model", "llama-3-8b", "--cluster", "h100x8", "--layout", "dp=8,zero=1",
                                   "--set", "run.steps=1000", "--set", f"schedule.kind={kind}", "--set", "schedule.warmup_steps=50",
                                   "--set", "schedule.min_learning_rate=0.00003", "--set", "optimizer.learning_rate=0.0003")
                flags = {flag[0]: flag[1] for flag in document["settings"]["flags"] if len(flag) > 1}
                parameter = torch.nn.Parameter(torch.zeros(1))
                wsd = int(flags["--lr-wsd-decay-iters"]) if kind == "wsd" else None
                schedule = OptimizerParamScheduler(
                    torch.optim.AdamW([parameter]), 0.0, float(flags["--lr"]), float(flags["--min-lr"]), int(flags["--lr-warmup-iters"]),
                    int(flags["--lr-decay-iters"]), flags["--lr-decay-style"], 0.1, 0.1, 1000, "constant", wsd_decay_steps=wsd,
                    lr_wsd_decay_style=flags.get("--lr-wsd-decay-style"))

                def rate(step):
                    schedule.num_steps = step
                    return schedule.get_lr({}) / 3e-4

                self.assertAlmostEqual(rate(1), 1 / 50)  # the plan's first step
                self.assertAlmostEqual(rate(50), 1)
                tail = {"cosine": 0.1, "linear": 0.1, "constant": 1, "wsd": 0.1, "inverse_sqrt": (50 / 1000) ** 0.5}[kind]
                self.assertAlmostEqual(rate(1000), tail, delta=0.01)
                self.assertAlmostEqual(rate(790), {"wsd": 1}.get(kind, rate(790)))  # stable until the last fifth

    def test_scaled_rotations_are_had_as_it_says(self):
        from megatron.core.models.common.embeddings.rotary_pos_embedding import RotaryEmbedding
        document, said, frequencies = llama3(self, "megatron")
        factor = float(re.search("--use-rope-scaling --rope-scaling-factor ([0-9.]+) ", said)[1])
        given = document["settings"]["gpt_model"]
        rope = RotaryEmbedding(kv_channels=document["settings"]["transformer_config"]["kv_channels"], rotary_percent=given["rotary_percent"],
                               rotary_base=given["rotary_base"], rope_scaling=True, rope_scaling_factor=factor, use_cpu_initialization=True)
        torch.testing.assert_close(rope.inv_freq, frequencies)

    def test_the_script_is_one_command_with_the_flags(self):
        for name in MEGATRON:
            with self.subTest(name):
                document, layout, out = emit(self, "megatron", name, MEGATRON)
                fake = harness.SCRATCH / "bin"
                fake.mkdir(exist_ok=True)
                (fake / "torchrun").write_text('#!/bin/sh\nfor argument; do printf "%s\\n" "$argument"; done\n')
                (fake / "torchrun").chmod(0o755)
                ran = subprocess.run(["bash", str(out), "--data-path", "x y"], capture_output=True, text=True,
                                     env=os.environ | {"PATH": f"{fake}:{os.environ['PATH']}"})
                self.assertEqual(ran.returncode, 0, ran.stderr)
                words = ran.stdout.splitlines()
                self.assertEqual(words[-2:], ["--data-path", "x y"])
                written = [word for flag in document["settings"]["flags"] for word in flag]
                self.assertEqual(words[words.index("pretrain_gpt.py") + 1:-2], written)


if __name__ == "__main__":
    unittest.main(verbosity=2)
