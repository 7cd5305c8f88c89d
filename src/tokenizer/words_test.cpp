#include "tokenizer/words.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace longhaul::tokenizer {
namespace {

TEST(Words, AreRunsOfCharactersThatAreNoWhiteSpace) {
  const std::vector<std::pair<std::string, std::int64_t>> counts = {
      {"", 0},
      {" \t\r\n\v\f", 0},
      {"one", 1},
      {" it's  two-fold,\n isn't it? ", 4},
      {"naïve façade, 鯨と海", 3},
      {"a\u00A0b\u2003c\u3000d\u0085e", 5},  // no-break, em, ideographic space, next line: White_Space
      {"a\u200Bb\uFEFFc\u180Ed\u2060e", 1},  // zero-width characters are not
      {"🐋 🐋", 2}};
  for (const auto& [text, count] : counts) EXPECT_EQ(count_words(text), count) << text;
}

}  // namespace
}  // namespace longhaul::tokenizer
