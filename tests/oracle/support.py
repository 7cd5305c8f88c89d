"""What the oracle tests share: model tables of both families, one step as longhaul computed it, and relative errors."""
import json
import pathlib

import harness
from harness import DONE, expect
from safetensors.torch import load_file

GPT2 = {"norm": "layer_norm", "norm_bias": True, "position": "learned", "qkv_bias": True, "output_bias": True, "mlp": "gelu", "mlp_bias": True}
FP32 = {"dtype": "fp32"}

# Odd sizes, grouped heads, tied and untied heads, documents isolated or not, sequences longer and shorter than attention's tile of 64.
CASES = {
    "gpt2-tied": dict(
        model=GPT2 | {"layers": 2, "width": 48, "heads": 3, "kv_heads": 3, "ffn_width": 192, "vocab": 512, "position_rows": 80,
                      "tied_embeddings": True},
        batch={"sequence_length": 80, "micro_batch": 2, "global_batch": 8, "virtual_ranks": 4}),
    "gpt2-odd": dict(
        model=GPT2 | {"layers": 3, "width": 40, "heads": 5, "kv_heads": 5, "ffn_width": 100, "vocab": 517, "position_rows": 47},
        batch={"sequence_length": 33, "micro_batch": 1, "global_batch": 6, "virtual_ranks": 2}, data={"isolate_documents": False}),
    "gpt2-recompute": dict(
        model=GPT2 | {"layers": 2, "width": 64, "heads": 2, "kv_heads": 2, "ffn_width": 256, "vocab": 512, "position_rows": 160,
                      "tied_embeddings": True},
        batch={"sequence_length": 150, "micro_batch": 3, "global_batch": 3, "virtual_ranks": 1}, parallel={"recompute": "layer"}),
    "llama-grouped": dict(
        model={"layers": 2, "width": 64, "heads": 4, "kv_heads": 2, "ffn_width": 176, "vocab": 512},
        batch={"sequence_length": 96, "micro_batch": 2, "global_batch": 8, "virtual_ranks": 4}),
    "qwen3-qk-norm": dict(
        model={"layers": 3, "width": 60, "heads": 6, "kv_heads": 2, "head_dim": 14, "ffn_width": 100, "vocab": 777, "qk_norm": True,
               "tied_embeddings": True, "norm_epsilon": 1e-6},
        batch={"sequence_length": 70, "micro_batch": 1, "global_batch": 4, "virtual_ranks": 1}),
    "qwen2-bias": dict(
        model={"layers": 2, "width": 48, "heads": 4, "kv_heads": 1, "ffn_width": 130, "vocab": 512, "qkv_bias": True, "rope_theta": 1e6},
        batch={"sequence_length": 130, "micro_batch": 2, "global_batch": 4, "virtual_ranks": 2}, data={"isolate_documents": False},
        parallel={"recompute": "layer"}),
}


def write_case(name, case, **changes):
    """A run file of one of CASES: its model table replaces that of the command tests."""
    tables = {table: case.get(table, {}) | changes.get(table, {}) for table in {*case, *changes} - {"model"}}
    saved = harness.RUN["model"]
    harness.RUN["model"] = case["model"]
    try:
        return harness.write_run(name, **tables)
    finally:
        harness.RUN["model"] = saved


def model_table(test, run_file, *arguments):
    """The resolved [model] table."""
    document = json.loads(expect(test, DONE, "config", run_file, "--json", *arguments).stdout)
    return {key: entry["value"] for key, entry in document["model"].items()}


def debug_step(test, run_file, out, *arguments):
    """Runs `debug step`; gives {weights, gradients, updated, batch, step (, logits)}."""
    expect(test, DONE, "debug", "step", run_file, "--out", out, *arguments)
    files = {p.stem: load_file(p) for p in pathlib.Path(out).glob("*.safetensors")}
    return files | {"step": json.loads((pathlib.Path(out) / "step.json").read_text())}


def relative_error(value, reference):
    """‖value − reference‖₂ / ‖reference‖₂, in fp64."""
    value, reference = value.double(), reference.double()
    return ((value - reference).norm() / reference.norm()).item()
