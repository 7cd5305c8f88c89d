"""Shared by tools/published_runs and tools/whole_runs: the published runs of tests/golden as arguments of the program. All figures of work
and of peaks are computed by the program: by $LONGHAUL, else build/longhaul. Needs only the standard library.
"""
import csv
import json
import os
import pathlib
import re
import subprocess
import tempfile
import typing

ROOT = pathlib.Path(__file__).resolve().parents[1]
LONGHAUL = os.environ.get("LONGHAUL", str(ROOT / "build/longhaul"))
# Name in the tables → id in examples/clusters. The H800 is an H100 with slower links.
HARDWARE = {"A100-SXM-80GB": "a100", "A100-SXM-40GB": "a100-40gb", "H100-SXM-80GB": "h100", "B200-SXM": "b200", "A100-80GB": "a100",
            "H100-80GB (700 W)": "h100", "H800": "h100"}


class Whole(typing.NamedTuple):
    """Published figures of a run of tests/golden/whole_runs_gpu_hours.csv other than its hours; sequence lengths from the papers."""
    model: str
    tokens: str | None  # "15T+" is counted as 15T, which is too low; None where steps are published
    sequence: int
    counts: bool = True  # its hours are those of pre-training only, in bf16, on hardware of the catalogue: it is in examples/published/mfu.csv


STEPS = dict(tokens=None, sequence=2048, counts=False)
WHOLE = {
    "LLaMA-7B": Whole("llama-7b", "1T", 2048),
    "LLaMA-13B": Whole("llama-13b", "1T", 2048),
    "LLaMA-33B": Whole("llama-33b", "1.4T", 2048),
    "LLaMA-65B": Whole("llama-65b", "1.4T", 2048),
    "Llama 2 7B": Whole("llama-2-7b", "2T", 4096),
    "Llama 2 13B": Whole("llama-2-13b", "2T", 4096),
    "Llama 2 70B": Whole("llama-2-70b", "2T", 4096),
    "Llama 3 8B": Whole("llama-3-8b", "15T", 8192),
    "Llama 3 70B": Whole("llama-3-70b", "15T", 8192),
    "Llama 3.1 8B": Whole("llama-3-8b", "15T", 8192),
    "Llama 3.1 70B": Whole("llama-3-70b", "15T", 8192),
    "Llama 3.1 405B": Whole("llama-3.1-405b", "15.6T", 8192),
    "Llama 3.2 1B": Whole("llama-3.2-1b", "9T", 8192, counts=False),  # larger models' work is among the hours
    "Llama 3.2 3B": Whole("llama-3.2-3b", "9T", 8192, counts=False),
    "DeepSeek-V3 671B (37B active), pre-training": Whole("deepseek-v3", "14.8T", 4096, counts=False),  # partly fp8, on H800
    "BLOOM 176B": Whole("bloom-176b", **STEPS),
    "BLOOM 176B batch-size ramp-up": Whole("bloom-176b", **STEPS),
    "BLOOM 176B start GBS=192 MBS=1": Whole("bloom-176b", **STEPS),
    "MT-NLG 530B": Whole("mt-nlg-530b", **STEPS),
}


def ask(*arguments, table=None):
    """The program's JSON. `table`: text of a table to compare claims with instead of examples/published/mfu.csv."""
    with tempfile.TemporaryDirectory() as folder:
        environment = dict(os.environ)
        if table is not None:
            path = pathlib.Path(folder) / "published/mfu.csv"
            path.parent.mkdir()
            path.write_text(table)
            environment["LONGHAUL_EXAMPLES"] = folder
        done = subprocess.run([LONGHAUL, *map(str, arguments), "--json"], capture_output=True, text=True, env=environment)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, arguments))}: {done.stderr}")
    return json.loads(done.stdout)


def rows(name):
    with open(ROOT / "tests/golden" / name, newline="") as file:
        return list(csv.DictReader(file))


def number(text):
    return float(text.replace("M", "e6").replace("k", "e3"))


def claim(row):
    """The arguments of audit-claim for a row of whole_runs_gpu_hours.csv; nothing where it names too little."""
    if row["model"] not in WHOLE:
        return None
    whole = WHOLE[row["model"]]
    hardware = HARDWARE[row["gpu"]] + (f"x{row['num_gpus']}" if row["num_gpus"] else "")
    arguments = ["--model", whole.model, "--hardware", hardware, "--sequence", whole.sequence]
    if row["gpu_hours"]:
        return [*arguments, "--device-hours", number(row["gpu_hours"]), "--tokens", whole.tokens] if whole.tokens else None
    step = re.search(r"([\d.]+) s/iter at GBS (\d+)", row["mfu_or_tflops"])
    if step:
        return [*arguments, "--recompute", "layer", "--step-time", step[1], "--global-batch", step[2]]
    return [*arguments, "--recompute", "layer", "--tflops", row["mfu_or_tflops"].split()[0].removesuffix("TFLOPs/GPU"), "--convention", "sc21_eq3"]
