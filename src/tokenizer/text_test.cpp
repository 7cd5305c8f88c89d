// Text before it is merged: cutting by expressions, normalisation, the search for added tokens.
#include <gtest/gtest.h>
#include <utf8proc.h>

#include <cstdlib>
#include <random>

#include "tokenizer/added_tokens.h"
#include "tokenizer/cutter.h"
#include "tokenizer/pretokenizer.h"
#include "tokenizer/text_rules.h"
#include "units/utf8.h"

namespace longhaul::tokenizer {
namespace {

std::vector<std::string> cut_by(const Pattern& pattern, const std::string& text) {
  Cutter cutter(std::make_shared<const CompiledPattern>(pattern, "test"));
  std::vector<std::string> pieces;
  for (const Range& piece : cutter.cut(text)) pieces.push_back(text.substr(piece.begin, piece.end - piece.begin));
  return pieces;
}

using Cut = std::vector<std::string>;

TEST(Cutter, MatchesAndWhatLiesBetweenArePieces) {
  EXPECT_EQ(cut_by(Pattern(std::vector<CutStep>{{"\\d+"}}), "ab12c"), (Cut{"ab", "12", "c"}));
  EXPECT_EQ(cut_by(Pattern(std::vector<CutStep>{{"\\d+", false}}), "ab12c3"), (Cut{"12", "3"})) << "dropped when asked";
  EXPECT_EQ(cut_by(Pattern(std::vector<CutStep>{{"(?=b)"}}), "abab"), (Cut{"a", "ba", "b"})) << "a match of nothing ends a piece";
  EXPECT_EQ(cut_by(Pattern(std::vector<CutStep>{{"b"}, {"a\\z"}}), "aabaa"), (Cut{"a", "a", "b", "a", "a"}))
      << "a piece is all that is seen";
  EXPECT_EQ(cut_by(PatternKind::whole, "ab"), (Cut{"ab"}));
  EXPECT_EQ(cut_by(PatternKind::o200k_base, ""), Cut{});
}

TEST(Cutter, NamedPatterns) {
  EXPECT_EQ(cut_by(PatternKind::o200k_base, "HelloWORLD don'T x1234 a/\n/b  \n  c"),
            (Cut{"Hello", "WORLD", " don'T", " x", "123", "4", " a", "/\n/", "b", "  \n", " ", " c"}));
  EXPECT_EQ(cut_by(PatternKind::tekken, "don't 12"), (Cut{"don", "'t", " ", "1", "2"}));
  EXPECT_EQ(cut_by(PatternKind::deepseek_v3, "aか漢b 1234,x"), (Cut{"a", "か漢", "b", " ", "123", "4", ",x"}));
}

TEST(Cutter, CharactersThatPcre2IsTooOldForAreThoseOfTheirCategory) {
  EXPECT_EQ(with_older_characters("plain é 漢 \U0001F600"), "");
  EXPECT_EQ(with_older_characters("a\U000105C0b").size(), 6u);                                    // a letter of Unicode 16.0
  EXPECT_EQ(cut_by(PatternKind::o200k_base, "a\U000105C0b 1"), (Cut{"a\U000105C0b", " ", "1"}));  // letters join
  EXPECT_EQ(cut_by(PatternKind::o200k_base, "1\U00010D40x"), (Cut{"1\U00010D40", "x"}));          // a digit of Unicode 16.0
  EXPECT_EQ(cut_by(PatternKind::o200k_base, "\U0001FAE9!"), (Cut{"\U0001FAE9!"}));                // a symbol of Unicode 16.0
}

TEST(Nfc, EqualsNormalisingAllAtOnce) {
  const std::u32string frequent =
      U"ae \u0301\u0323\u0300\u1100\u1161\u11A8각가\u0958\u1E9B\u212B\u2126漢\uFB1D\u0344\u09C7\u09BEé\U0001D15E\u3099か";
  std::mt19937_64 random(7);
  for (int round = 0; round < 20'000; ++round) {
    std::string text;
    for (std::uint64_t i = random() % 12; i > 0; --i) {
      char32_t c = random() % 4 ? frequent[random() % frequent.size()] : static_cast<char32_t>(random() % 0x30000);
      if (c >= 0xD800 && c < 0xE000) c = 'x';
      append_utf8(text, c == 0 ? U'y' : c);
    }
    utf8proc_uint8_t* const whole = utf8proc_NFC(reinterpret_cast<const utf8proc_uint8_t*>(text.c_str()));
    ASSERT_EQ(nfc(text), reinterpret_cast<const char*>(whole)) << ::testing::PrintToString(text);
    std::free(whole);
  }
}

TEST(Nfc, IsThatOfUnicode9) {
  EXPECT_EQ(nfc("\u0301\U0001133B"), "\u0301\U0001133B") << "a mark of Unicode 11.0 stays where it is";
  EXPECT_EQ(nfc("\U00011935\U00011930"), "\U00011935\U00011930") << "a composition of Unicode 13.0";
  EXPECT_EQ(nfc("\U0001133Be\u0301"), "\U0001133B\u00E9");
  EXPECT_EQ(nfc("\U0001133B\u0301\u0323"), "\U0001133B\u0323\u0301");
}

TEST(AddedTokens, TheLeftmostAndOfThoseTheLongestIsFound) {
  AddedTokenSearch search;
  for (const auto& [text, id] : {std::pair("ab", 1), {"abc", 2}, {"b", 3}, {"xy", -1}, {"y", 4}}) search.add(text, id);
  std::vector<AddedTokenSearch::Match> matches;
  search.find_all("aabcab_bxy", matches);
  std::vector<std::pair<std::size_t, int>> found;
  for (const auto& match : matches) found.emplace_back(match.begin, match.id);
  // "xy" is special: what it covers is not looked at again, so the y in it is not found.
  EXPECT_EQ(found, (std::vector<std::pair<std::size_t, int>>{{1, 2}, {4, 1}, {7, 3}}));
}

TEST(AddedTokens, OfSpecialOnesAloneThereIsNothingToFind) {
  AddedTokenSearch search;
  search.add("<s>", -1);
  EXPECT_TRUE(search.empty());
}

}  // namespace
}  // namespace longhaul::tokenizer
