#!/usr/bin/env python3
"""What a message or a page advises, the program takes: every command of the pages, the help texts and the messages is run, and every option
and key of a run file that they name exists.

Run files, data and tables that commands name are small stand-ins. A command that stands for many, like `longhaul fit RUNS.csv --out FILE` or
`longhaul plan --cluster`, is completed: REQUIRED and VALUES have what it leaves out. Excused holds what is meant otherwise, with the reason.
"""
import base64
import concurrent.futures
import csv
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import advice
import harness
from harness import DONE, expect, json_of

MODEL = ["--model", "llama-3-8b"]
CLUSTER = ["--cluster", "a100x8"]
RUN = "first.toml"

PROCESSORS = len(os.sched_getaffinity(0))

# What a command needs beside what an advice says of it: (any of these is given, else this). "" is a positional argument.
REQUIRED = {
    "config": [(("", "--model", "--options", "--models"), [RUN])],
    "data prepare": [(("--source",), ["--source", "text=corpus"]), (("--out",), ["--out", "made"]),
                     (("--vocab-size", "--tokenizer"), ["--vocab-size", "512"])],
    "data inspect": [(("",), ["data"])],
    "tokenizer train": [(("",), ["corpus"]), (("--out",), ["--out", "made.json"])],
    "tokenizer encode": [(("--tokenizer",), ["--tokenizer", "tokenizer.json"])],
    "tokenizer decode": [(("--tokenizer",), ["--tokenizer", "tokenizer.json"])],
    "tokenizer convert": [(("--tokenizer",), ["--tokenizer", "tokenizer.json"]), (("--out",), ["--out", "made.json"])],
    "tokenizer compare": [(("",), ["tokenizer.json", "tokenizer.json"]), (("--text",), ["--text", "corpus"])],
    "plan": [(("", "--model"), [RUN])],
    "search": [(("", "--model"), MODEL), (("--cluster",), CLUSTER)],
    "emit": [(("--for",), ["--for", "megatron"]), (("", "--model"), MODEL), (("--cluster",), CLUSTER)],
    "audit-claim": [(("", "--model"), MODEL), (("--hardware",), ["--hardware", "h100x64"]),
                    (("--tflops", "--device-hours", "--tokens-per-second", "--step-time"), ["--tflops", "400"])],
    "scale": [(("--flops", "--device-hours", "--days", "--laws"), ["--flops", "1e21"])],
    "fit": [(("",), ["runs.csv"]), (("--out",), ["--out", "made.toml"])],
    "cluster show": [(("",), ["h100x8"])],
    "train": [(("", "--model"), [RUN])],
    "eval": [(("", "--model"), [RUN])],
    "generate": [(("", "--model"), [RUN])],
    "replay": [(("", "--model"), [RUN]), (("--from",), ["--from", "1"]), (("--to",), ["--to", "2"])],
    "report": [(("", "--model"), [RUN])],
    "export hf": [(("", "--model"), [RUN]), (("--out",), ["--out", "made"])],
    "hf": [(("",), ["Llama-3.1-8B/config.json"])],
    "bench step": [(("", "--model"), [RUN])],
    "validate": [(("",), ["runs.csv"])],
    "debug step": [(("", "--model"), [RUN]), (("--out",), ["--out", "made"])],
    "debug batches": [(("", "--model"), [RUN]), (("--out",), ["--out", "made.safetensors"])],
}
# Of options that an advice names without a value, or with a stand-in for one.
VALUES = {"--cluster": "a100x8", "--data": "data", "--out": "made", "--law": "law.toml", "--family": "avx2", "--threads": "1",
          "--explain": "memory.peak", "--html": "made.html", "--trace": "made.json", "--profile": "machine.toml", "--from-runs": "runs.csv",
          "--vocab-size": "512", "--tokenizer": "tokenizer.json", "--branch-from": "first-run", "--from-step": "2"}
# Less work than advised, so that all is done in seconds.
SMALLER = {
    "bench step": ["--steps", "1", "--set", "model.layers=1", "--set", "batch.sequence_length=64", "--set", "batch.global_batch=4"],
    "fit": ["--folds", "0", "--starts", "2", "--bootstrap", "0"],
}
# The runs of the workplace have two steps.
SHORTER = {"--from": "1", "--to": "2"}
# Verbs that measure this machine. What they refuse they refuse before that: still at work after so many seconds, they have taken it.
MEASURING, PATIENCE = ("bench step", "calibrate", "plan"), 5

# What is named and meant otherwise, with the reason; by what is named, or by the file (of options).
EXCUSED_COMMANDS = {
    "tokenizer 1": "the first text that a tokenizer's fingerprint hashes",
}
EXCUSED_OPTIONS = {
    "megatron.cpp": "flags of Megatron-LM and torchrun",
    "torchtitan.cpp": "flags of torchrun and torchtitan",
    "verb_hf.cpp": "the file that it writes is for --model of other verbs",
    "verb_scale.cpp": "the file that it writes is for --model of other verbs",
    "--long": "of ./test",
    "--oracle": "of ./test",
    "--fix": "of tools/lint",
    "--corpus": "of tests/golden/state_hashes.py",
    "--write": "of tests/command/lessons_test.py",
    "--module": "of torchtitan",
    "--config": "of torchtitan",
}
EXCUSED_KEYS = {
    "data.content": "the dataset's hash, a line of the text that the config hash covers",
    "data.tokenizer": "the tokenizer's hash, a line of the text that the config hash covers",
    **dict.fromkeys(("guards.losses", "guards.grad_norms", "guards.applied", "guards.skipped_in_a_row"), "in the state of a checkpoint"),
    **dict.fromkeys(("model.type", "model.dropout", "model.merges", "model.byte_fallback", "model.ignore_merges"), "in a tokenizer.json of Hugging Face"),
    **dict.fromkeys(("model.embed_tokens", "model.embed_positions", "model.embed_layernorm"), "in the name of a tensor"),
}


def write_rank_file(path):
    """A tiktoken file of the 256 bytes."""
    path.write_text("".join(f"{base64.b64encode(bytes([rank])).decode()} {rank}\n" for rank in range(256)))


def write_runs(path):
    """Three rows of the golden table for each of the things that an advice asks of it."""
    with open(advice.ROOT / "tests/golden/runs.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    asked = (lambda row: True, lambda row: row["family"] == "playbook" and int(row["num_gpus"]) >= 128,
             lambda row: row["framework"] == "megatron-lm" and row["gpu"] == "A100-SXM-80GB")
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows({row["id"]: row for holds in asked for row in [row for row in rows if holds(row)][:3]}.values())


def head(path, lines):
    return "".join((advice.ROOT / path).read_text().splitlines(keepends=True)[:lines])


def workplace():
    """A folder with all that advised commands name: examples whose run files are small and trained, data, tables."""
    folder = harness.SCRATCH / "workplace"
    folder.mkdir()
    shutil.copytree(advice.ROOT / "examples", folder / "examples")
    run_file = harness.write_run("tiny", run={"steps": 2}, validation={"max_tokens": 200})
    text = run_file.read_text().replace(os.path.relpath(harness.dataset(), run_file.parent), str(harness.dataset()))
    for name, directory in (("first.toml", "first-run"), ("run.toml", "first-run"), ("examples/demo.toml", "../first-run"),
                            ("examples/lesson.toml", "../first-run"), ("lower-rate.toml", "lower-run")):
        steps = "steps = 4" if name == "lower-rate.toml" else "steps = 2"  # a branch has steps to train after its parent's
        (folder / name).write_text(text.replace('directory = "run"', f'directory = "{directory}"').replace("steps = 2", steps))
    for name in ("corpus/books", "demo-run/corpus/moby-dick", "demo-run/corpus/sotu"):
        shutil.copytree(harness.SCRATCH / "corpus", folder / name)
    (folder / "demo-run/run").symlink_to("../first-run")  # the run that the template trains
    (folder / "crawl.jsonl").write_text("".join(json.dumps({"text": f"{i} times the whale"}) + "\n" for i in range(20)))
    (folder / "book.txt").write_text("Call me Ishmael.")
    for name in ("data", "first-data"):
        (folder / name).symlink_to(harness.dataset())
    shutil.copy(harness.dataset() / "tokenizer.json", folder / "tokenizer.json")
    for name in ("gpt2.tiktoken", "cl100k_base.tiktoken"):
        write_rank_file(folder / name)
    for name in ("vocab.json", "merges.txt"):
        shutil.copy(advice.ROOT / "tests/golden/tokenizer_pair" / name, folder / name)
    (folder / "tests/golden").mkdir(parents=True)
    for name in ("runs.csv", "my-runs.csv", "tests/golden/runs.csv"):
        write_runs(folder / name)
    (folder / "tests/golden/chinchilla_fig4_epoch.csv").write_text(head("tests/golden/chinchilla_fig4_epoch.csv", 60))
    for name in ("Llama-3.1-8B", "Mistral-7B"):
        (folder / name).mkdir()
        (folder / name / "config.json").write_text('{"model_type": "llama"}')
    shutil.copy(folder / "examples/laws/epoch-2024.toml", folder / "law.toml")
    shutil.copy(folder / "examples/calibration/fitted.toml", folder / "my-calibration.toml")
    return folder


def option_table(verb):
    """Of a verb's help: option → whether it takes a value, and "Needs" → those that stand only beside --cluster."""
    shown = harness.run_program(*verb.split(), "--help").stdout
    table = {"Needs": {name.split(",")[0] for name in re.findall(r"^  (--\S+).* Needs: --cluster$", shown, re.MULTILINE)}}
    for names, rest in re.findall(r"^  ((?:-\w,)?--[\w-]+(?:,--[\w-]+)*)(.*)$", shown, re.MULTILINE):
        for name in names.split(","):
            table[name] = re.match(r" (TEXT|INT|UINT|FLOAT)", rest) is not None
    return table


def verb_of(words):
    """The verb that words begin with, one that has verbs inside alone too."""
    for count in (2, 1):
        if " ".join(words[:count]) in harness.verbs():
            return " ".join(words[:count])
    return words[0] if any(verb.startswith(words[0] + " ") for verb in harness.verbs()) else None


def is_stand_in(word):
    return re.fullmatch(r"…|\.\.\.|\{\}|[A-Z][A-Z_]*(\.\w+)?", word) is not None


def completed(verb, words, options):
    """The words after a verb with values for stand-ins and for what the advice leaves to its reader."""
    out, given, at = [], set(), 0
    while at < len(words):
        word, at = words[at], at + 1
        if not word.startswith("-"):
            if not is_stand_in(word):
                given.add(""), out.append(word.rstrip("/"))
            continue
        given.add(word), out.append(word)
        if not options.get(word):
            continue
        value = words[at] if at < len(words) and not words[at].startswith("-") else None
        at += value is not None
        if verb == "replay" and word in SHORTER:
            value = SHORTER[word]
        out.append(VALUES.get(word, "nothing") if value is None or is_stand_in(value) else value.replace("=/tmp/", "=made-"))
    if given & {"--help"}:
        return out
    if given & options["Needs"] and "--cluster" not in given:
        out += CLUSTER
    for alternatives, addition in REQUIRED.get(verb, []):
        if not given & set(alternatives):
            out += addition
    out += SMALLER.get(verb, [])
    if "--branch-from" in given and "first.toml" in out:
        out += ["--set", "run.directory=made", "--set", "run.steps=4"]  # NEW.toml is one of another directory, with steps to train
    if any(word.endswith(".tiktoken") for word in out):
        # These are not OpenAI's own files, which are known by their hash.
        out += ["--pattern-b" if verb == "tokenizer compare" else "--pattern", "gpt2"]
    return out


class Commands(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.template = workplace()
        check = cls("test_every_advised_command_is_taken")
        expect(check, DONE, "train", cls.template / "first.toml")
        expect(check, DONE, "plan", cls.template / "first.toml")  # measures what the run calls
        (kept,) = (harness.SCRATCH / "cache").rglob("*.toml")
        shutil.copy(kept, cls.template / "machine.toml")

    def run_in_copy(self, calls):
        """Runs calls one after the other in a workplace of their own; what is wrong with one, or None."""
        folder = pathlib.Path(tempfile.mkdtemp(dir=harness.SCRATCH))
        shutil.copytree(self.template, folder, symlinks=True, dirs_exist_ok=True)
        try:
            for words in calls:
                measures = " ".join(words).startswith(MEASURING) and "--cluster" not in words
                if words[:2] == ("data", "prepare") and "--out" in words:
                    (folder / words[words.index("--out") + 1]).unlink(missing_ok=True)  # a link to another dataset
                try:
                    done = subprocess.run([harness.LONGHAUL, *words], cwd=folder, capture_output=True, text=True, errors="replace",
                                          timeout=PATIENCE if measures else 300,
                                          input="72 101" if words[:2] == ("tokenizer", "decode") else "Call me Ishmael.")
                    if done.returncode != DONE:
                        return f"`longhaul {' '.join(words)}` ends with {done.returncode}: {done.stderr[-400:]}"
                except subprocess.TimeoutExpired:
                    if not measures:
                        return f"`longhaul {' '.join(words)}` does not end"
            return None
        finally:
            shutil.rmtree(folder)

    def test_every_advised_command_is_taken(self):
        tables = {verb: option_table(verb) for verb in harness.verbs()}
        places, faults, excused = {}, [], set()
        for where, text in advice.commands():
            calls = []
            for words in advice.of_program(text):
                if " ".join(words) in EXCUSED_COMMANDS:
                    excused.add(" ".join(words))
                    continue
                words = ["plan", *words[1:]] if words[0] == "VERB" else words
                verb = verb_of(words)
                if verb in tables:
                    calls.append((*verb.split(), *completed(verb, words[len(verb.split()):], tables[verb])))
                elif verb or words[0].startswith("-"):  # those that have verbs inside, and --help
                    calls.append((verb, "--help") if verb else tuple(words))
                else:
                    faults.append(f"{where}: there is no verb of `longhaul {' '.join(words)}`")
            if calls:
                places.setdefault(tuple(calls), where)
        self.assertGreater(len(places), 80, "commands are found")
        with concurrent.futures.ThreadPoolExecutor(PROCESSORS) as pool:
            for where, fault in zip(places.values(), pool.map(self.run_in_copy, places)):
                if fault:
                    faults.append(f"{where}: {fault}")
        self.assertEqual(faults, [], "\n".join(faults))
        self.assertEqual(set(EXCUSED_COMMANDS), excused, "excused, and no longer there")

    def test_every_lever_of_an_explanation_gives_the_figure_it_promises(self):
        """Each change that `--explain` names, made: the program takes it, and the figure is the one that was printed beside it."""
        layout = {"dp": "8", "tp": "4", "pp": "2", "zero": "1", "sp": "1"}
        figures = {"memory.peak": lambda plan: plan["memory"]["peak_bytes_per_rank"], "step.seconds": lambda plan: plan["step"]["seconds"],
                   "run.money": lambda plan: plan["run"]["dollars"], "mfu": lambda plan: plan["step"]["mfu"]}

        def command(change):
            """A plan of 64 devices, changed: "tp=2, dp=16", "batch.micro_batch=2", "128 devices (dp=16)", "half the tokens"."""
            devices = re.match(r"(\d+) devices", change)
            changes = dict(re.findall(r"([a-z_.]+)=([\w-]+)", change))
            price, tokens = ("1" if change == "half the price" else "2"), ("150B" if change == "half the tokens" else "300B")
            arranged = {**layout, **{key: value for key, value in changes.items() if "." not in key}}
            sets = [word for key, value in changes.items() if "." in key for word in ("--set", f"{key}={value}")]
            return ["plan", *MODEL, "--cluster", f"h100x{devices[1] if devices else 64}", "--tokens", tokens, "--price", price,
                    "--layout", ",".join(f"{key}={value}" for key, value in arranged.items()), *sets]

        with concurrent.futures.ThreadPoolExecutor(PROCESSORS) as pool:
            explained = pool.map(lambda figure: json_of(self, *command(""), "--explain", figure)["levers"], figures)
            levers = [(figure, lever) for figure, found in zip(figures, explained) for lever in found]
            changes = {lever["change"] for _, lever in levers}
            plans = dict(zip(changes, pool.map(lambda change: json_of(self, *command(change)), changes)))
        self.assertGreater(len(levers), 25)
        for figure, lever in levers:
            with self.subTest(figure=figure, change=lever["change"]):
                value = figures[figure](plans[lever["change"]])
                self.assertAlmostEqual(value, lever["value"], delta=1e-9 * abs(value))


class Names(unittest.TestCase):
    """Options and keys that are named without a whole command."""

    @classmethod
    def setUpClass(cls):
        cls.tables = {verb: option_table(verb) for verb in harness.verbs()}
        cls.every_option = {"--help", "--version"}.union(*cls.tables.values())

    def test_commands_in_messages_stand_in_backticks(self):
        self.assertEqual(list(advice.plain_mentions({verb.split()[0] for verb in harness.verbs()})), [])

    def test_an_option_named_with_its_verb_is_that_verbs(self):
        faults = []
        verbs = "|".join(sorted(harness.verbs(), key=len, reverse=True))
        for where, text in [*advice.spans(), *advice.literals()]:
            if any(f"/{name}:" in where for name in EXCUSED_OPTIONS):
                continue
            for verb, option in re.findall(rf"(?<![\w-])({verbs}) (--[a-z][a-z0-9-]+)", text):
                if option not in self.tables[verb]:
                    faults.append(f"{where}: {verb} has no option {option}")
        self.assertEqual(faults, [], "\n".join(faults))

    def test_every_option_named_exists(self):
        """In messages of a verb its own and those of verbs that the message names, elsewhere any verb's."""
        faults, excused = [], set()
        for where, text in [*advice.spans(), *advice.literals()]:
            own = re.match(r"apps/longhaul/verb_(\w+)\.cpp", where)
            verb = own and own[1].replace("_", "-")
            others = re.findall(r"longhaul ([a-z][a-z-]*)", text)
            known = self.every_option if not own else {"--help"}.union(
                *(table for name, table in self.tables.items() if name.split()[0] in (verb, *others)))
            for option in re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", text):
                if option in known:
                    continue
                reason = next((name for name in EXCUSED_OPTIONS if f"/{name}:" in where or name == option), None)
                if reason is None:
                    faults.append(f"{where}: there is no option {option}" + (f" of {verb}" if own else ""))
                excused.add(reason)
        self.assertEqual(faults, [], "\n".join(faults))
        self.assertEqual(set(EXCUSED_OPTIONS) - excused, set(), "excused, and no longer there")

    def test_every_key_of_a_run_file_named_exists_and_takes_the_value_named(self):
        options = {f"{row['table']}.{row['key']}" for row in json_of(self, "config", "--options")["options"]}
        figures = {row["id"] for row in json_of(self, "plan", *MODEL, *CLUSTER, "--explain", "list")["explanations"]}
        run_file = harness.write_run("keys", batch={"micro_batch": 1, "virtual_ranks": 1, "global_batch": 64})
        faults, excused, values = [], set(), {}
        for where, text in [*advice.spans(), *advice.literals()]:
            for match in advice.KEY.finditer(text):
                key, value = match["key"], (match["value"] or "").strip('"')
                if key in EXCUSED_KEYS:
                    excused.add(key)
                elif key not in options and key not in figures:
                    faults.append(f"{where}: there is no {key}")
                elif value and value not in ("{}", "…"):
                    values.setdefault(f"{key}={value}", where)
        for setting, where in values.items():
            done = harness.run_program("config", run_file, "--set", setting)
            if done.returncode != DONE:
                faults.append(f"{where}: {setting} is refused: {done.stderr[-300:]}")
        self.assertEqual(faults, [], "\n".join(faults))
        self.assertEqual(set(EXCUSED_KEYS) - excused, set(), "excused, and no longer there")


if __name__ == "__main__":
    unittest.main(verbosity=2)
