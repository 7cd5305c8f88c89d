#!/usr/bin/env python3
"""Trains the runs of tests/golden/state_hashes.csv with the program and compares the hash of all state after the last step.

    tests/golden/state_hashes.py [--write] [--corpus DIRECTORY] [RUN...]

    --write             writes the hashes, and this processor into `seen_on`, instead of failing where they differ
    --corpus DIRECTORY  text made by tools/demo_corpus: with it the run of docs/user-guide.md is trained too

A row is one run: `data` is `genesis` (genesis.jsonl in this folder) or `guide` (section 1 of the user guide); each column with a dot in
its name is an option of the run file, an empty cell its default. The program is named by the environment variable LONGHAUL. The unit
test src/train/state_hashes_test.cpp trains the same rows in every instruction set with one and two threads.
"""
import argparse
import csv
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

FOLDER = pathlib.Path(__file__).resolve().parent
TABLE = FOLDER / "state_hashes.csv"
LONGHAUL = os.environ.get("LONGHAUL", str(FOLDER.parents[1] / "build/longhaul"))


def longhaul(*arguments):
    done = subprocess.run([LONGHAUL, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"longhaul {' '.join(map(str, arguments))}: exit code {done.returncode}\n{done.stderr}")
    return done.stdout


def prepare(data, corpus, directory):
    if data == "genesis":
        sources, vocabulary, heldout = [f"genesis={FOLDER / 'genesis.jsonl'}"], 331, 0.1
    else:
        sources, vocabulary, heldout = [f"{name}={corpus / name}" for name in ("moby-dick", "sotu")], 2048, 0.05
    longhaul("data", "prepare", *(word for source in sources for word in ("--source", source)), "--vocab-size", vocabulary,
             "--heldout-fraction", heldout, "--out", directory)


def processor():
    info = pathlib.Path("/proc/cpuinfo").read_text()
    vendor, family, model = (re.search(rf"^{key}\s*: (.*)$", info, re.MULTILINE)[1] for key in ("vendor_id", "cpu family", "model"))
    return f"{vendor} family {family} model {model}"


def train(row, data, directory):
    """The state hash after the last step, and the instruction set that computed it."""
    run_file = directory / f"{row['run']}.toml"
    run_file.write_text("")
    sets = [f"{option}={value}" for option, value in row.items() if "." in option and value]
    sets += [f"run.directory={directory / row['run']}", f"data.directory={data}"]
    summary = json.loads(longhaul("train", run_file, "--json", *(word for s in sets for word in ("--set", s))))
    events = (directory / row["run"] / "ledger/events.jsonl").read_text().splitlines()
    return summary["state_hash"], next(e["family"] for e in map(json.loads, events) if e["kind"] == "launch")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--corpus", type=pathlib.Path)
    parser.add_argument("runs", nargs="*")
    arguments = parser.parse_args()
    with TABLE.open(newline="") as file:
        reader = csv.DictReader(file)
        columns, rows = reader.fieldnames, list(reader)
    if unknown := set(arguments.runs) - {row["run"] for row in rows}:
        sys.exit(f"no run {', '.join(sorted(unknown))} in {TABLE}")
    different = 0
    with tempfile.TemporaryDirectory() as folder:
        prepared = {}
        for row in rows:
            if (arguments.runs and row["run"] not in arguments.runs) or (row["data"] == "guide" and not arguments.corpus):
                continue
            data = prepared.get(row["data"])
            if not data:
                data = prepared[row["data"]] = pathlib.Path(folder) / row["data"]
                prepare(row["data"], arguments.corpus, data)
            state_hash, family = train(row, data, pathlib.Path(folder))
            equal = state_hash == row["state_hash"]
            different += not equal
            print(f"{row['run']:24} {state_hash} {'equal' if equal else 'differs from ' + (row['state_hash'] or 'none')}", flush=True)
            seen = row["seen_on"].split("; ") if equal and row["seen_on"] else []
            here = f"{processor()} ({family})"
            row.update(state_hash=state_hash, seen_on="; ".join(seen if here in seen else [*seen, here]))
    if arguments.write:
        with TABLE.open("w", newline="") as file:
            writer = csv.DictWriter(file, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    elif different:
        sys.exit(f"{different} of {len(rows)} hashes differ")


if __name__ == "__main__":
    main()
