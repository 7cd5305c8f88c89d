#!/usr/bin/env python3
"""docs/lessons.md says what the program says: every command of the page is run, in the order of the page, and its output compared.

In a ```console block, lines that begin with `$ ` are commands (continued by a trailing \\), the rest is their output, where a line `…`
stands for any lines and `…` inside a line for any text; standard error is not shown. In a ```console measured block numbers and their units
may differ: they are this machine's. `lessons_test.py --write` puts what a command prints now where the page says otherwise; of an
explanation its figure, formula, numbers and source.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

import harness

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/lessons.md"
NUMBER = re.compile(r"[−+-]?\d[\d,.]*(e[+-]?\d+)?(\s?(k |M |G |T )?[kMGTµmn]?i?(B|s|FLOPs?|FLOP/s|tokens/s|tok/s|tokens|min|h|d)\b|\s?%)*")


def commands(lines):
    """(command, expected lines) of one block."""
    found = []
    for line in lines:
        if line.startswith("$ "):
            found.append([line[2:], []])
        elif found and not found[-1][1] and found[-1][0].endswith("\\"):
            found[-1][0] = found[-1][0][:-1] + line.strip()
        else:
            found[-1][1].append(line)
    return found


def blocks(text):
    for match in re.finditer(r"^```console( measured)?\n(.*?)^```$", text, re.M | re.S):
        yield text.count("\n", 0, match.start()) + 1, bool(match[1]), match[2].splitlines()


def workplace():
    """A folder that looks like the project's, where the lessons may write."""
    folder = harness.SCRATCH / "lessons"
    folder.mkdir()
    for name in ("docs", "tests"):
        (folder / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "examples", folder / "examples")
    (folder / "build").mkdir()
    (folder / "build/longhaul").symlink_to(harness.LONGHAUL)
    return folder


def run(command, folder):
    # C.UTF-8: the order of names in a folder must not depend on who runs this.
    done = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True, timeout=300,
                          env={**os.environ, "LC_ALL": "C.UTF-8"})
    return done.returncode, done.stdout.rstrip("\n").split("\n") if done.stdout else [], done.stderr


def pattern(line, measured):
    parts = [NUMBER.sub("#", part) if measured else part for part in line.split("…")]
    return re.compile(r"\s*" + ".*".join(r"\s+".join(map(re.escape, p.split(" "))) if measured else re.escape(p) for p in parts) + r"\s*")


def missing(expected, got, measured):
    """The first expected line that the output does not have in its place; None when all is there."""
    at, free = 0, False
    for line in expected:
        if line.strip() == "…":
            free = True
            continue
        wanted = pattern(re.sub(r" +", " ", line) if measured else line, measured)
        while at < len(got):
            text = re.sub(r" +", " ", NUMBER.sub("#", re.sub(r" +", " ", got[at]))) if measured else got[at]
            at += 1
            if wanted.fullmatch(text):
                break
            if not free:
                return f"expected {line!r}\n     got {got[at - 1]!r}"
        else:
            return f"expected {line!r}\n     got no such line"
        free = False
    return None if free or at >= len(got) or got[at:] == [""] else f"more output than the page has: {got[at]!r}"


class Lessons(unittest.TestCase):
    def test_every_command_prints_what_the_page_says(self):
        folder, ran = workplace(), 0
        for line, measured, block in blocks(PAGE.read_text()):
            for command, expected in commands(block):
                with self.subTest(line=line, command=command):
                    code, got, said = run(command, folder)
                    self.assertEqual(code, 0, said)
                    self.assertIsNone(missing(expected, got, measured))
                ran += 1
        self.assertGreater(ran, 40)

    def test_every_entry_of_the_accounting_has_its_lesson(self):
        known = re.findall(r"^\| ([A-F]\d+) \|", (ROOT / "docs/accounting.md").read_text(), re.M)
        self.assertGreater(len(known), 35)
        told = set(re.findall(r"\b[A-F]\d+\b", PAGE.read_text()))
        self.assertEqual([entry for entry in known if entry not in told], [])

    def test_the_comparison_can_fail(self):
        self.assertIsNone(missing(["a 1", "…", "z"], ["a 1", "b", "c", "z"], False))
        self.assertIsNone(missing(["step  12.5 ms of … done"], ["step 3 s of 7 layers, done"], True))
        self.assertIsNotNone(missing(["a 1"], ["a 2"], False))
        self.assertIsNotNone(missing(["a 1"], ["a 1", "b"], False))
        self.assertIsNotNone(missing(["loss 1"], ["gain 2"], True))
        self.assertIsNotNone(missing(["a", "…", "z"], ["a", "b"], False))


def shortened(got):
    """Of an explanation, what a lesson is about."""
    if len(got) < 3 or not got[1].startswith("  figure "):
        return got
    keep = [i == 0 or line.split()[0] in ("figure", "formula", "here", "source") for i, line in enumerate(got)]
    return [line if keep[i] else "…" for i, line in enumerate(got) if keep[i] or keep[i - 1]]


def write_page():
    folder, text = workplace(), PAGE.read_text()

    def filled(match):
        out, measured = [], bool(match[1])
        for command, expected in commands(match[2].splitlines()):
            code, got, said = run(command, folder)
            if code:
                sys.exit(f"{command}: exit {code}\n{said}")
            out += [f"$ {command}", *(shortened(got) if missing(expected, got, measured) or not expected else expected)]
        return f"```console{match[1] or ''}\n" + "\n".join(out) + "\n```"

    PAGE.write_text(re.sub(r"^```console( measured)?\n(.*?)^```$", filled, text, flags=re.M | re.S))


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        write_page()
    else:
        unittest.main(verbosity=2)
