#!/usr/bin/env python3
"""Writes src/tokenizer/unicode_tables.inc: the class of every code point, for the pre-tokeniser.

Classes: 1 letter (\\p{L}), 2 number (\\p{N}), 3 White_Space, 0 anything else. Two stages: a block number for every 256 code points,
then 2 bits a code point, 32 in a 64-bit word. Code points behind the last block have class 0.

The Unicode version must be the one that tiktoken 0.14 was built with, or ids differ on code points assigned in between:

    python3 -m venv VENV && VENV/bin/pip install unicodedata2==16.0.0 && VENV/bin/python tools/unicode_tables.py
"""

import pathlib
import sys

import unicodedata2 as unicodedata

VERSION = "16.0.0"
# White_Space of PropList.txt; unicodedata does not carry the property, and category Z* differs from it (U+0009-000D, U+0085).
WHITE_SPACE = {*range(0x09, 0x0E), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000}
BLOCK = 256
OUTPUT = pathlib.Path(__file__).resolve().parent.parent / "src" / "tokenizer" / "unicode_tables.inc"


def code_point_class(code_point: int) -> int:
    if code_point in WHITE_SPACE:
        return 3
    return {"L": 1, "N": 2}.get(unicodedata.category(chr(code_point))[0], 0)


def words_of(classes: list[int]) -> tuple[int, ...]:
    return tuple(sum(value << (2 * i) for i, value in enumerate(classes[w : w + 32])) for w in range(0, BLOCK, 32))


def rows(values: list[str], per_row: int) -> str:
    return "\n".join("    " + " ".join(f"{v}," for v in values[i : i + per_row]) for i in range(0, len(values), per_row))


def hex_row(words: tuple[int, ...]) -> str:
    return ", ".join("0" if w == 0 else f"0x{w:X}" for w in words)


def main() -> None:
    if unicodedata.unidata_version != VERSION:
        sys.exit(f"unicodedata2 has Unicode {unicodedata.unidata_version}, needed is {VERSION}: pip install unicodedata2=={VERSION}")
    blocks: list[tuple[int, ...]] = []
    index: list[int] = []
    for start in range(0, 0x110000, BLOCK):
        words = words_of([code_point_class(c) for c in range(start, start + BLOCK)])
        if words not in blocks:
            blocks.append(words)
        index.append(blocks.index(words))
    empty = blocks.index((0,) * (BLOCK // 32))
    while index[-1] == empty:
        index.pop()
    assert len(blocks) <= 256
    OUTPUT.write_text(
        f"// Unicode {VERSION}, written by tools/unicode_tables.py; do not edit.\n"
        "// clang-format off\n"
        f"constexpr std::uint32_t kUnicodeEnd = 0x{len(index) * BLOCK:X};  // no letter, number or white space from here on\n"
        f"constexpr std::uint8_t kUnicodeBlock[{len(index)}] = {{\n{rows([str(i) for i in index], 32)}\n}};\n"
        f"constexpr std::uint64_t kUnicodeClass[{len(blocks)}][{BLOCK // 32}] = {{\n"
        + "\n".join("    {" + ",\n     ".join(hex_row(words[i : i + 4]) for i in (0, 4)) + "}," for words in blocks)
        + "\n};\n// clang-format on\n"
    )


if __name__ == "__main__":
    main()
