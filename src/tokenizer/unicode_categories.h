// tokenizer/unicode_categories.h — the category of a code point, as finely as o200k_base's and DeepSeek's patterns tell them apart: the
// classes of tokenizer/unicode_tables.h, divided. Unicode 16.0, from the same script.
#pragma once

#include <cstdint>

namespace longhaul::tokenizer {

enum class Category : std::uint8_t {
  other = 0,     ///< control and format characters, and what is not assigned
  upper = 1,     ///< Lu, Lt
  lower = 2,     ///< Ll
  caseless = 3,  ///< Lm, Lo
  mark = 4,      ///< M
  number = 5,    ///< N
  space = 6,     ///< White_Space
  symbol = 7,    ///< P, S
};

namespace unicode {
#include "tokenizer/unicode_categories.inc"
}

constexpr Category category_of(char32_t code_point) {
  if (code_point >= unicode::kCategoryEnd) return Category::other;
  const std::uint64_t word = unicode::kCategory[unicode::kCategoryBlock[code_point >> 8]][(code_point >> 4) & 15];
  return static_cast<Category>((word >> (4 * (code_point & 15))) & 15);
}

}  // namespace longhaul::tokenizer
