// tokenizer/unicode_tables.h — the class of a code point: letter, number, white space or none of them.
//
// Pre-tokenisers need no other property of Unicode. The tables are Unicode 16.0 (tools/unicode_tables.py writes them): the version inside
// tiktoken 0.14, verified by asking it for all 1,112,064 scalar values. A library's tables (PCRE2 10.42: 14.0, ICU 72: 15.0) would
// change ids whenever the library is updated.
#pragma once

#include <cstdint>

namespace longhaul::tokenizer {

enum class CharClass : std::uint8_t { other = 0, letter = 1, number = 2, space = 3 };

namespace unicode {
#include "tokenizer/unicode_tables.inc"
}

/// Class of a Unicode scalar value: \p{L}, \p{N}, White_Space or other.
constexpr CharClass class_of(char32_t code_point) {
  if (code_point >= unicode::kUnicodeEnd) return CharClass::other;
  const std::uint64_t word = unicode::kUnicodeClass[unicode::kUnicodeBlock[code_point >> 8]][(code_point >> 5) & 7];
  return static_cast<CharClass>((word >> (2 * (code_point & 31))) & 3);
}

}  // namespace longhaul::tokenizer
