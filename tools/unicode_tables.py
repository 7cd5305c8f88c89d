#!/usr/bin/env python3
"""Writes src/tokenizer/unicode_tables.inc, the class of every code point, and unicode_categories.inc, its category, for the pre-tokeniser.

Classes: 1 letter (\\p{L}), 2 number (\\p{N}), 3 White_Space, 0 anything else. Categories: 1 Lu and Lt, 2 Ll, 3 Lm and Lo, 4 M, 5 N,
6 White_Space, 7 P and S, 0 anything else. Two stages: a block number for every 256 code points, then 2 or 4 bits a code point in 64-bit
words. Code points behind the last block have class or category 0.

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
FOLDER = pathlib.Path(__file__).resolve().parent.parent / "src" / "tokenizer"
CATEGORIES = {"Lu": 1, "Lt": 1, "Ll": 2, "Lm": 3, "Lo": 3, "M": 4, "N": 5, "P": 7, "S": 7}


def code_point_class(code_point: int) -> int:
    if code_point in WHITE_SPACE:
        return 3
    return {"L": 1, "N": 2}.get(unicodedata.category(chr(code_point))[0], 0)


def code_point_category(code_point: int) -> int:
    if code_point in WHITE_SPACE:
        return 6
    category = unicodedata.category(chr(code_point))
    return CATEGORIES.get(category, CATEGORIES.get(category[0], 0))


def words_of(values: list[int], bits: int) -> tuple[int, ...]:
    per_word = 64 // bits
    return tuple(sum(value << (bits * i) for i, value in enumerate(values[w : w + per_word])) for w in range(0, BLOCK, per_word))


def rows(values: list[str], per_row: int) -> str:
    return "\n".join("    " + " ".join(f"{v}," for v in values[i : i + per_row]) for i in range(0, len(values), per_row))


def hex_row(words: tuple[int, ...]) -> str:
    return ", ".join("0" if w == 0 else f"0x{w:X}" for w in words)


def write(file: str, names: tuple[str, str, str], comment: str, value_of, bits: int) -> None:
    """@param names  of the end, of the blocks, of the words"""
    blocks: list[tuple[int, ...]] = []
    index: list[int] = []
    for start in range(0, 0x110000, BLOCK):
        words = words_of([value_of(c) for c in range(start, start + BLOCK)], bits)
        if words not in blocks:
            blocks.append(words)
        index.append(blocks.index(words))
    per_block = BLOCK * bits // 64
    empty = blocks.index((0,) * per_block)
    while index[-1] == empty:
        index.pop()
    assert len(blocks) <= 256
    (FOLDER / file).write_text(
        f"// Unicode {VERSION}, written by tools/unicode_tables.py; do not edit.\n"
        "// clang-format off\n"
        f"constexpr std::uint32_t {names[0]} = 0x{len(index) * BLOCK:X};  // {comment} from here on\n"
        f"constexpr std::uint8_t {names[1]}[{len(index)}] = {{\n{rows([str(i) for i in index], 32)}\n}};\n"
        f"constexpr std::uint64_t {names[2]}[{len(blocks)}][{per_block}] = {{\n"
        + "\n".join("    {" + ",\n     ".join(hex_row(words[i : i + 4]) for i in range(0, per_block, 4)) + "}," for words in blocks)
        + "\n};\n// clang-format on\n"
    )


def main() -> None:
    if unicodedata.unidata_version != VERSION:
        sys.exit(f"unicodedata2 has Unicode {unicodedata.unidata_version}, needed is {VERSION}: pip install unicodedata2=={VERSION}")
    write("unicode_tables.inc", ("kUnicodeEnd", "kUnicodeBlock", "kUnicodeClass"), "no letter, number or white space", code_point_class, 2)
    write("unicode_categories.inc", ("kCategoryEnd", "kCategoryBlock", "kCategory"), "nothing with a category", code_point_category, 4)


if __name__ == "__main__":
    main()
