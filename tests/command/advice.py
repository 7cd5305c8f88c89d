"""The commands, options and keys of run files that the documentation and the program's messages tell people to use (remedies_test.py)."""
import pathlib
import re
import shlex
import typing

ROOT = pathlib.Path(__file__).resolve().parents[2]
# lessons_test.py runs every command of docs/lessons.md and compares its output.
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "src").glob("*.md"))]
TABLES = "run|model|data|batch|optimizer|schedule|precision|validation|checkpoint|guards|log|parallel"
KEY = re.compile(rf"(?<![\w./-])(?P<key>(?:{TABLES})\.(?!(?:toml|json|h|safetensors)\b)[a-z_0-9]+)(?![\w./(])(?:\s?=\s?(?!one of)(?P<value>\"[^\"]*\"|[\w.+-]+|\{{\}}|…))?")


class Advice(typing.NamedTuple):
    where: str  # "docs/planner.md:37"
    text: str


def place(path, text, offset):
    return f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, offset) + 1}"


def literals():
    """The string literals of the program's messages as (place, text): adjacent ones joined, escapes undone."""
    token = re.compile(r'^#include[^\n]*|//[^\n]*|/\*.*?\*/|R"(\w*)\((?P<raw>.*?)\)\1"|"(?P<plain>(?:[^"\\\n]|\\.)*)"|' + r"'(?:[^'\\\n]|\\.)+'|\s+|\w+|.",
                       re.S | re.M)
    for path in sorted(p for folder in ("src", "apps") for p in (ROOT / folder).rglob("*") if p.suffix in (".cpp", ".h")):
        if path.stem.endswith(("_test", "test_support", "testing")):
            continue
        text, parts, start = path.read_text(), [], 0
        for match in token.finditer(text):
            if match["plain"] is not None or match["raw"] is not None:
                start = start if parts else match.start()
                parts.append(match["raw"] if match["plain"] is None else re.sub(r"\\(.)", lambda m: {"n": "\n"}.get(m[1], m[1]), match["plain"]))
            elif parts and not match[0].isspace() and not match[0].startswith(("//", "/*")):
                yield place(path, text, start), "".join(parts)
                parts = []


def spans():
    """Inline code of the pages, as (place, text)."""
    for path in PAGES:
        text = path.read_text()
        prose = re.sub(r"^```.*?^```$", lambda m: re.sub(r"[^\n]", " ", m[0]), text, flags=re.M | re.S)
        for match in re.finditer(r"(?<!`)`([^`]+)`(?!`)", prose):
            yield place(path, text, match.start()), re.sub(r"\s+", " ", match[1])


def block_commands():
    """Shell commands of fenced blocks: the lines with a prompt, or where none has one those that begin with the program."""
    for path in PAGES:
        if path.name == "lessons.md":
            continue
        text = path.read_text()
        for block in re.finditer(r"^```\w*[^\n]*\n(.*?)^```$", text, re.M | re.S):
            prompt = re.compile(r"^\$ " if re.search(r"^\$ ", block[1], re.M) else r"^(?=(?:build/)?longhaul [a-z-]+(?![\w:-]))", re.M)
            for match in re.finditer(prompt.pattern + r"((?:[^\n]*\\\n)*[^\n]*)", block[1], re.M):
                yield Advice(place(path, text, block.start(1) + match.start()), match[1].replace("\\\n", " "))


def help_examples(text):
    """Commands below "Example: " of a help text."""
    for match in re.finditer(r"^(?:Example: | {9})((?:[^\n]*\\\n)*[^\n]*)", text, re.M):
        if "longhaul " in match[1]:
            yield re.sub(r"\s\s+\(.*\)$", "", match[1].replace("\\\n", " "))


def plain_mentions(verbs):
    """Calls of the program outside backticks and examples, where no test would run them; headers of files that it writes may say so."""
    for where, text in literals():
        rest = re.sub(r"^(?:Example: | {9})((?:[^\n]*\\\n)*[^\n]*)|^#.*|`[^`]*`", "", text, flags=re.M)
        for match in re.finditer(rf"longhaul ({'|'.join(verbs)})(?![\w-])", rest):
            if match.start() > 0:  # else a title: "longhaul plan"
                yield Advice(where, match[0])


def commands():
    """Every command that is advised, shell and all."""
    yield from block_commands()
    for where, text in spans():
        if re.match(r"(build/)?longhaul [a-z]", text):
            yield Advice(where, text)
    for where, text in literals():
        for command in [*re.findall(r"`(longhaul [^`]+)`", text), *help_examples(text)]:
            yield Advice(where, command)


def of_program(command):
    """The calls of longhaul in a shell command, as lists of words: pipes, lists and redirections taken apart."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words, skip = [[]], False
    for word in lexer:
        if skip:
            skip = False
        elif re.fullmatch(r"[|&;()]+", word):
            words.append([])
        elif re.fullmatch(r"[<>&]+", word):
            skip = True
            if words[-1] and words[-1][-1].isdigit():
                words[-1].pop()
        else:
            words[-1].append(word)
    return [call[1:] for call in words if call and call[0] in ("longhaul", "build/longhaul")]
