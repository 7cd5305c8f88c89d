#!/usr/bin/env python3
"""Writes src/tokenizer/later_characters.inc: code points whose category PCRE2 10.42 (Unicode 14.0) does not know as Unicode 16.0 does,
each range with an older character of its new category and of the same length in UTF-8, which is matched in its place.

    python3 -m venv VENV && VENV/bin/pip install unicodedata2==16.0.0 && VENV/bin/python tools/later_characters.py

The Python that runs it must have Unicode 14.0 (Python 3.11).
"""

import pathlib
import sys
import unicodedata

import unicodedata2

OLD, NEW = "14.0.0", "16.0.0"
OUTPUT = pathlib.Path(__file__).resolve().parent.parent / "src" / "tokenizer" / "later_characters.inc"


def length(code_point: int) -> int:
    return len(chr(code_point).encode())


def main() -> None:
    if unicodedata.unidata_version != OLD or unicodedata2.unidata_version != NEW:
        sys.exit(f"needed are Unicode {OLD} and {NEW}, found {unicodedata.unidata_version} and {unicodedata2.unidata_version}")
    old = {c: unicodedata.category(chr(c)) for c in range(0x110000) if not 0xD800 <= c < 0xE000}
    new = {c: unicodedata2.category(chr(c)) for c in old}
    stand_ins: dict[tuple[str, int], int] = {}
    for c in old:  # the last one: far from the characters that expressions name (CJK, kana)
        if old[c] == new[c]:
            stand_ins[new[c], length(c)] = c
    ranges: list[list[int]] = []
    for c in (c for c in old if old[c] != new[c]):
        assert length(c) >= 3
        stand_in = stand_ins[new[c], length(c)]
        if ranges and ranges[-1][1] == c - 1 and ranges[-1][2] == stand_in:
            ranges[-1][1] = c
        else:
            ranges.append([c, c, stand_in])
    rows = [f"{{0x{first:X}, 0x{last:X}, 0x{stand_in:X}}}," for first, last, stand_in in ranges]
    OUTPUT.write_text(
        f"// Code points of another category in Unicode {NEW} than in {OLD}, written by tools/later_characters.py; do not edit.\n"
        "// clang-format off\n"
        f"constexpr LaterCharacters kLaterCharacters[{len(rows)}] = {{\n"
        + "\n".join("    " + " ".join(rows[i : i + 4]) for i in range(0, len(rows), 4))
        + "\n};\n// clang-format on\n"
    )


if __name__ == "__main__":
    main()
