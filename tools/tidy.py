#!/usr/bin/env python3
"""Runs clang-tidy over src and apps, skipping files that already passed with the same text.

"The same text" is the SHA-256 of the preprocessed source, the compile command and .clang-tidy, so a change in any included header
counts. Passed hashes are empty files in .cache/tidy. Unit tests are left to the compiler's warnings: GoogleTest's macros cost more
time than clang-tidy finds there.

Usage: tools/tidy.py [PATH-PREFIX...]      default: src/ apps/
Exit: 0 clean, 1 findings.
"""
import concurrent.futures
import hashlib
import json
import os
import pathlib
import shlex
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache" / "tidy"


def commands(prefixes):
    """(source path relative to the root, compile command without ccache, its folder) of each file to check.

    A kernel is compiled once for each instruction set; the last, widest one is checked.
    """
    found = {}
    for entry in json.loads((ROOT / "build/compile_commands.json").read_text()):
        path = pathlib.Path(entry["file"]).resolve()
        if not path.is_relative_to(ROOT):
            continue
        relative = str(path.relative_to(ROOT))
        if relative.startswith(tuple(prefixes)) and not relative.endswith("_test.cpp"):
            words = shlex.split(entry["command"])
            if os.path.basename(words[0]) == "ccache":
                words = words[1:]
            found[relative] = relative, words, entry["directory"]
    return found.values()


def text_hash(words, directory):
    """SHA-256 of what clang-tidy would read; None where the preprocessor fails (clang-tidy then says why)."""
    preprocess = [w for i, w in enumerate(words) if w != "-c" and w != "-o" and (i == 0 or words[i - 1] != "-o")]
    run = subprocess.run(preprocess + ["-E", "-P"], cwd=directory, capture_output=True)
    if run.returncode:
        return None
    digest = hashlib.sha256((ROOT / ".clang-tidy").read_bytes())
    digest.update(" ".join(words).encode())
    digest.update(run.stdout)
    return digest.hexdigest()


def flags_for_clang(words):
    """What of g++'s command clang understands: definitions, include folders, language and instruction set."""
    return [w for i, w in enumerate(words) if w.startswith(("-D", "-I", "-std", "-m", "-f")) or words[i - 1] == "-isystem" or w == "-isystem"]


def check(job):
    relative, words, directory = job
    digest = text_hash(words, directory)
    if digest and (CACHE / digest).exists():
        return relative, True, "", 0.0
    begin = time.monotonic()
    run = subprocess.run(["clang-tidy-14", "--quiet", str(ROOT / relative), "--", *flags_for_clang(words)], cwd=directory, capture_output=True,
                         text=True)
    passed = run.returncode == 0
    if passed and digest:
        (CACHE / digest).touch()
    findings = run.stdout + "".join(line for line in run.stderr.splitlines(True) if "warnings generated" not in line)
    return relative, passed, findings, time.monotonic() - begin


def main():
    prefixes = sys.argv[1:] or ["src/", "apps/"]
    CACHE.mkdir(parents=True, exist_ok=True)
    jobs = list(commands(prefixes))
    failed = skipped = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for relative, passed, findings, seconds in pool.map(check, jobs):
            skipped += seconds == 0.0
            if not passed:
                failed += 1
                print(f"{relative}: {findings}")
            elif os.environ.get("LONGHAUL_TIDY_TIMES"):
                print(f"{relative} {seconds:.1f} s")
    print(f"clang-tidy: {len(jobs)} files, {skipped} unchanged since they passed, {failed} with findings")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
