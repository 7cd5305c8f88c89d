// The scanners by category against the published expressions, matched by PCRE2.
#include "tokenizer/category_scan.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "tokenizer/cutter.h"
#include "tokenizer/pretokenizer.h"
#include "tokenizer/test_pieces.h"
#include "units/utf8.h"

namespace longhaul::tokenizer {
namespace {

/// U+180E: no white space since Unicode 6.3, nor to Rust (tiktoken) and Oniguruma (`tokenizers`), but to PCRE2's \s.
constexpr char32_t kPcre2AloneHasAsSpace = 0x180E;

class CategoryScan : public ::testing::TestWithParam<PatternKind> {
 protected:
  CategoryScan() : cutter_(std::make_shared<const CompiledPattern>(GetParam(), "test")) {}
  Pieces cut(const std::string& text) {
    Pieces pieces;
    for (const Range& piece : cutter_.cut(text)) pieces.push_back(text.substr(piece.begin, piece.end - piece.begin));
    return pieces;
  }

 private:
  Cutter cutter_;
};
INSTANTIATE_TEST_SUITE_P(All, CategoryScan, ::testing::Values(PatternKind::o200k_base, PatternKind::tekken, PatternKind::deepseek_v3),
                         [](const auto& parameter) { return pattern_name(parameter.param); });

TEST_P(CategoryScan, PiecesEqualPcre2OnChosenText) {
  for (const char* text :
       {"HelloWORLD don'T x1234 a/\n/b  \n  c", "中AB中Ab 中A中 A中B中", "\u0301AB \u0301\u0301A a\u0301A!\u0301",
        "!\u0301 !!\u0301x \u0301", "ǅabc ǅǅ ʰA Aʰ", "IT'S it's 'S's x'ſ x'll've '", "a\n  ", "\n", "  \n \n", "\u00A0\u3000x\u0085y",
        "...\n/\n/ ///x", " .a -Word _é+é $1 ½Ⅷ٣٣٣٣", "a  1  漢  か、。・ー!", "\x01\x02\x01 \x01z \x01\n\x7F\xC2\x80",
        "\u3040\u3097\u3099\u309Bか\u30FB\u4E00\u9FA5\u9FA6\u3005", "\u200B\u200Bx\u200B1\u200B漢\u200B", " \t x\t\t1 "}) {
    EXPECT_EQ(scanned(GetParam(), text), cut(text)) << text;
  }
}

TEST_P(CategoryScan, PiecesEqualPcre2OnRandomText) {
  const std::u32string frequent =
      U"  \n\r\t'''sSdDmMtTlLvVeErRſaZzAB09½.,!?_-/é漢かーǅʰ\u00A0\u3000\u2028\u0301\u0903😀\x01\u200B\u3040\u309B\u30FB٣";
  std::mt19937_64 random(20);
  for (int round = 0; round < 60'000; ++round) {
    std::string text;
    const bool wild = round % 4 == 0;
    for (std::uint64_t length = random() % 50; length > 0; --length) {
      char32_t c = frequent[random() % frequent.size()];
      if (wild && random() % 2) c = static_cast<char32_t>(random() % (random() % 8 == 0 ? 0x110000 : 0x20000));
      if ((c >= 0xD800 && c < 0xE000) || c == kPcre2AloneHasAsSpace) c = U'x';
      for (std::uint64_t repeat = random() % 8 == 0 ? random() % 40 : 1; repeat > 0; --repeat) append_utf8(text, c);
    }
    ASSERT_EQ(scanned(GetParam(), text), cut(text)) << ::testing::PrintToString(text);
  }
}

/// Each scalar value where its category matters: between letters, before one, behind one, alone.
TEST_P(CategoryScan, EveryCharacterHasPcre2sCategory) {
  std::string text;
  for (char32_t c = 1; c < 0x110000; ++c) {
    if ((c >= 0xD800 && c < 0xE000) || c == kPcre2AloneHasAsSpace) continue;
    for (const char* around : {"a", "A", "!", " "}) {
      text += around;
      append_utf8(text, c);
    }
    text += "b\n";
    if (text.size() < 4000 && c < 0x10FFFF) continue;
    const Pieces ours = scanned(GetParam(), text), theirs = cut(text);
    const auto [a, b] = std::mismatch(ours.begin(), ours.end(), theirs.begin(), theirs.end());
    ASSERT_TRUE(a == ours.end() && b == theirs.end()) << *a << " and " << *b;
    text.clear();
  }
}

TEST(Categories, DivideTheClasses) {
  for (char32_t c = 0; c < 0x110000; ++c) {
    const Category category = category_of(c);
    const CharClass expected = category == Category::number  ? CharClass::number
                               : category == Category::space ? CharClass::space
                               : category == Category::upper || category == Category::lower || category == Category::caseless
                                   ? CharClass::letter
                                   : CharClass::other;
    ASSERT_EQ(class_of(c), expected) << static_cast<std::uint32_t>(c);
  }
}

}  // namespace
}  // namespace longhaul::tokenizer
