#!/usr/bin/env python3
"""Runs clang-tidy over src and apps, skipping what already passed with the same text.

A batch of the build (longhaul_unity in cmake/Longhaul.cmake) is checked as one text, which takes less than half the time of its files
one by one: most of what clang-tidy reads are the standard library's headers. "The same text" is the SHA-256 of the preprocessed source,
the compile command and .clang-tidy, so a change in any included header counts, and the place of the clone does not. Passed hashes are
empty files in the user's cache. Unit tests are left to the compiler's warnings: GoogleTest's macros cost more time than clang-tidy finds
there.

Usage: tools/tidy.py [PATH-PREFIX...]      default: src/ apps/; a batch that has other files too is then checked file by file
Exit: 0 clean, 1 findings.
"""
import collections
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
CACHE = pathlib.Path(subprocess.run([ROOT / "tools/cache_folder", "tidy"], check=True, capture_output=True, text=True).stdout.strip())
KEPT_DAYS = 60

Job = collections.namedtuple("Job", "path sources words directory")  # what clang-tidy reads, the files in it, the compile command, its folder


def sources_of(path):
    """The files that a compile command names: the included ones where it is a batch. Relative to the root."""
    included = re.findall(r'^#include "(.*)"', path.read_text(), re.MULTILINE) if path.parent.name == "Unity" else [path]
    return [str(pathlib.Path(p).relative_to(ROOT)) for p in included if pathlib.Path(p).is_relative_to(ROOT)]


def jobs(prefixes):
    """A kernel is compiled once for each instruction set; the last, widest one is checked."""
    found = {}
    for entry in json.loads((ROOT / "build/compile_commands.json").read_text()):
        path = pathlib.Path(entry["file"])
        sources = sources_of(path)
        chosen = [s for s in sources if s.startswith(tuple(prefixes)) and "_test.dir" not in entry["command"]]
        words = shlex.split(entry["command"])
        words = words[os.path.basename(words[0]) == "ccache":]
        if chosen and chosen == sources:
            found[tuple(sources)] = Job(path, sources, words, entry["directory"])
        else:
            found.update({s: Job(ROOT / s, [s], words, entry["directory"]) for s in chosen})
    return found.values()


def text_hash(job):
    """SHA-256 of what clang-tidy would read; None where the preprocessor fails (clang-tidy then says why)."""
    options = job.words[1:job.words.index("-o")]
    run = subprocess.run([job.words[0], *options, "-E", "-P", job.path], cwd=job.directory, capture_output=True)
    if run.returncode:
        return None
    digest = hashlib.sha256((ROOT / ".clang-tidy").read_bytes())
    digest.update(" ".join(options).replace(str(ROOT), ".").encode())
    digest.update(run.stdout)
    return digest.hexdigest()


def flags_for_clang(words):
    """What of g++'s command clang understands: definitions, include folders, language and instruction set."""
    return [w for i, w in enumerate(words) if w.startswith(("-D", "-I", "-std", "-m", "-f")) or words[i - 1] == "-isystem" or w == "-isystem"]


def check(job):
    """(passed, findings, seconds; 0 where it was not checked again)"""
    digest = text_hash(job)
    if digest and (CACHE / digest).exists():
        (CACHE / digest).touch()
        return True, "", 0.0
    begin = time.monotonic()
    run = subprocess.run(["clang-tidy-14", "--quiet", str(job.path), "--", *flags_for_clang(job.words)], cwd=job.directory, capture_output=True,
                         text=True)
    passed = run.returncode == 0
    if passed and digest:
        (CACHE / digest).touch()
    findings = run.stdout + "".join(line for line in run.stderr.splitlines(True) if "warnings generated" not in line)
    return passed, findings, time.monotonic() - begin


def main():
    prefixes = sys.argv[1:] or ["src/", "apps/"]
    CACHE.mkdir(parents=True, exist_ok=True)
    for old in CACHE.iterdir():
        if time.time() - old.stat().st_mtime > KEPT_DAYS * 86400:
            old.unlink(missing_ok=True)
    todo = list(jobs(prefixes))
    results = []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for job, (passed, findings, seconds) in zip(todo, pool.map(check, todo)):
            results.append((seconds, passed, job))
            if not passed:
                print(f"{' '.join(job.sources)}: {findings}")
    checked = sorted((r for r in results if r[0] > 0), key=lambda r: -r[0])
    if len(checked) > 10:
        print("tidy: the ten slowest")
        for seconds, _, job in checked[:10]:
            print(f"{seconds:7.1f} s  {' '.join(job.sources)}")
    failed = sum(not passed for _, passed, _ in results)
    print(f"clang-tidy: {sum(len(j.sources) for j in todo)} files in {len(todo)} texts, {len(todo) - len(checked)} unchanged since they passed, "
          f"{failed} with findings")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
