#include "tokenizer/unicode_tables.h"

#include <gtest/gtest.h>

namespace longhaul::tokenizer {
namespace {

TEST(UnicodeTables, ClassesOfKnownCharacters) {
  for (const char32_t c : {U'a', U'Z', U'é', U'ſ', U'漢', U'ß', char32_t{0x1C89}, char32_t{0x105C0}}) {
    EXPECT_EQ(class_of(c), CharClass::letter) << static_cast<std::uint32_t>(c);  // the last two are new in Unicode 16.0
  }
  for (const char32_t c : {U'0', U'½', U'Ⅷ', U'٣'}) EXPECT_EQ(class_of(c), CharClass::number) << static_cast<std::uint32_t>(c);
  for (const char32_t c : {0x9u, 0xDu, 0x20u, 0x85u, 0xA0u, 0x1680u, 0x200Au, 0x2028u, 0x202Fu, 0x205Fu, 0x3000u}) {
    EXPECT_EQ(class_of(c), CharClass::space) << static_cast<std::uint32_t>(c);
  }
  for (const char32_t c : {0x0u, 0x5Fu, 0x180Eu, 0x200Bu, 0xFEFFu, 0x1F600u, 0x301u, 0x10FFFFu}) {
    EXPECT_EQ(class_of(c), CharClass::other) << static_cast<std::uint32_t>(c);
  }
}

TEST(UnicodeTables, CountsOfUnicode16) {
  std::size_t letters = 0, numbers = 0, spaces = 0;
  for (char32_t c = 0; c < 0x110000; ++c) {
    letters += class_of(c) == CharClass::letter;
    numbers += class_of(c) == CharClass::number;
    spaces += class_of(c) == CharClass::space;
  }
  EXPECT_EQ(letters, 141028u);  // what tiktoken 0.14 matches with \p{L}, \p{N} and \s
  EXPECT_EQ(numbers, 1911u);
  EXPECT_EQ(spaces, 25u);
}

}  // namespace
}  // namespace longhaul::tokenizer
