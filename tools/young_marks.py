#!/usr/bin/env python3
"""Writes src/tokenizer/young_marks.inc: characters that combine in Unicode 16.0 and that the normal forms of Hugging Face's `tokenizers` do
not know, because these are those of Unicode 9.0.

    python3 -m venv VENV && VENV/bin/pip install tokenizers==0.23.3 unicodedata2==16.0.0 && VENV/bin/python tools/young_marks.py

Each character is asked for. One with a combining class must change places with an older mark of a smaller class that follows it (class 1:
of a larger one before it); one that ends a composition must compose.
"""

import pathlib
import sys

import tokenizers
import unicodedata2
from tokenizers.normalizers import NFC

UNICODE, TOKENIZERS = "16.0.0", "0.23"
OUTPUT = pathlib.Path(__file__).resolve().parent.parent / "src" / "tokenizer" / "young_marks.inc"
BASE = "\u4e00"  # composes with nothing
CLASS_1, CLASS_230 = "\u0334", "\u0301"  # marks of Unicode 1.1 of these classes


def compositions() -> dict[str, str]:
    """Every character that ends a canonical composition, with one that it ends."""
    found = {}
    for code_point in range(0x110000):
        parts = unicodedata2.decomposition(chr(code_point)).split()
        if len(parts) == 2 and not parts[0].startswith("<"):
            composed = "".join(chr(int(part, 16)) for part in parts)
            if unicodedata2.normalize("NFC", composed) == chr(code_point):
                found[composed[1]] = composed
    return found


def is_unknown(character: str, composition: str | None) -> bool:
    combining_class = unicodedata2.combining(character)
    if combining_class == 1:
        text = BASE + CLASS_230 + character
    elif combining_class > 1:
        text = BASE + character + CLASS_1
    elif composition is not None:
        text = composition
    else:
        return False
    assert unicodedata2.normalize("NFC", text) != text
    return NFC().normalize_str(text) == text


def main() -> None:
    if unicodedata2.unidata_version != UNICODE or not tokenizers.__version__.startswith(TOKENIZERS + "."):
        sys.exit(f"needed are Unicode {UNICODE} and tokenizers {TOKENIZERS}, found {unicodedata2.unidata_version} and {tokenizers.__version__}")
    composed = compositions()
    ranges: list[list[int]] = []
    for code_point in (c for c in range(0x110000) if not 0xD800 <= c < 0xE000):
        if not is_unknown(chr(code_point), composed.get(chr(code_point))):
            continue
        if ranges and ranges[-1][1] == code_point - 1:
            ranges[-1][1] = code_point
        else:
            ranges.append([code_point, code_point])
    rows = [f"{{0x{first:X}, 0x{last:X}}}," for first, last in ranges]
    OUTPUT.write_text(
        f"// Characters that combine in Unicode {UNICODE} and not in tokenizers {TOKENIZERS}, written by tools/young_marks.py; do not edit.\n"
        "// clang-format off\n"
        f"constexpr CodePoints kYoungerThanNfc[{len(rows)}] = {{\n"
        + "\n".join("    " + " ".join(rows[i : i + 6]) for i in range(0, len(rows), 6))
        + "\n};\n// clang-format on\n"
    )


if __name__ == "__main__":
    main()
