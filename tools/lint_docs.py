#!/usr/bin/env python3
"""Checks the Markdown pages of the repository (tools/lint docs).

- A line outside code blocks and tables has at most 120 columns; the target of a link does not count.
- A blank line does not divide a table: Markdown would print the rows below it as text.
- A relative link leads to a file, and its anchor to a heading of that file.
- A path of this repository in backticks, such as `src/units/error.h` or `tests/*`, exists. NAME, VERB and INNER stand for any text.

docs/options.md is written by the program (`longhaul config --options`); only its links and paths are checked.

Usage: tools/lint_docs.py      Exit: 0 all is well, 1 with a line for each fault.
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
COLUMNS = 120
GENERATED = {"docs/options.md"}
LINK = re.compile(r"\]\(([^()\s]+)\)")
CODE = re.compile(r"`([^`]*)`")
PATH = re.compile(r"(?:src|apps|tests|tools|docs|examples|bench|cmake|\.ci)/[\w./*-]*")
PLACEHOLDER = re.compile(r"NAME|VERB|INNER|(?<=/)X(?=[/_.]|$)")


def prose(lines):
    """(number, line) of all that is not inside a fenced or indented code block."""
    fenced, before = False, ""
    for number, line in enumerate(lines, 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced and not (line.startswith("    ") and not before.strip()):
            yield number, line
            before = line


def anchors(text):
    """The anchors of a page's headings, as GitHub makes them."""
    found = set()
    for _, line in prose(text.splitlines()):
        if line.startswith("#"):
            title = line.lstrip("#").strip().lower()
            found.add(re.sub(r"[^\w\- ]", "", title).replace(" ", "-"))
    return found


def exists(pattern):
    """A file, a folder, or a program by the name of its source: bench/gemm_bench."""
    return any(ROOT.glob(pattern)) or any(ROOT.glob(pattern + ".cpp"))


def link_fault(page, target):
    if re.match(r"[a-z]+:", target):
        return None
    name, _, anchor = target.partition("#")
    there = (page.parent / name).resolve() if name else page
    if not there.exists():
        return f"link to {target}: no such file"
    if anchor and there.suffix == ".md" and anchor not in anchors(there.read_text()):
        return f"link to {target}: {there.name} has no such heading"
    return None


def faults(page):
    name = str(page.relative_to(ROOT))
    lines = page.read_text().splitlines()
    for number, line in prose(lines):
        width = len(LINK.sub("]()", line))
        if width > COLUMNS and not line.startswith("|") and name not in GENERATED:
            yield f"{name}:{number}: {width} columns, more than {COLUMNS}"
        divided = number > 2 and line.startswith("|") and not lines[number - 2].strip() and lines[number - 3].startswith("|")
        if divided and not "".join(lines[number:number + 1]).startswith("|--"):
            yield f"{name}:{number}: a blank line divides this table"
        for target in LINK.findall(line):
            if fault := link_fault(page, target):
                yield f"{name}:{number}: {fault}"
        for code in CODE.findall(line):
            path = PATH.fullmatch(code)
            if path and not exists(PLACEHOLDER.sub("*", code.rstrip("/."))):
                yield f"{name}:{number}: `{code}`: no such file"


def main():
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"], cwd=ROOT, capture_output=True, text=True,
                            check=True).stdout.split()
    found = [fault for name in listed if (ROOT / name).exists() for fault in faults(ROOT / name)]
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
