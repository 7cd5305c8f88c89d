// The scanners against the regular expressions they stand for, matched by PCRE2.
#include "tokenizer/pretokenizer.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <gtest/gtest.h>
#include <pcre2.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tokenizer/test_pieces.h"
#include "tokenizer/unicode_tables.h"
#include "units/error.h"
#include "units/utf8.h"

namespace longhaul::tokenizer {
namespace {

/// The expressions of tiktoken 0.14 (openai_public.py).
std::string tiktoken_regex(const Pattern& pattern) {
  if (pattern == Pattern::gpt2) return R"('(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s)";
  const char* const numbers = pattern.kind() == PatternKind::qwen2 ? "" : pattern.kind() == PatternKind::nanochat ? "{1,2}+" : "{1,3}+";
  return std::string(R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N})") + numbers +
         R"(| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s)";
}

std::string published_regex(const Pattern& pattern) { return pattern.steps().front().expression; }

class Regex {
 public:
  explicit Regex(std::string_view expression) {
    int error = 0;
    PCRE2_SIZE offset = 0;
    code_.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(expression.data()), expression.size(),
                              PCRE2_UTF | PCRE2_UCP | PCRE2_DOLLAR_ENDONLY, &error, &offset, nullptr));
    if (!code_) throw std::runtime_error("PCRE2 refuses the expression at " + std::to_string(offset));
    pcre2_jit_compile(code_.get(), PCRE2_JIT_COMPLETE);
    match_.reset(pcre2_match_data_create_from_pattern(code_.get(), nullptr));
  }

  Pieces all(const std::string& text) {
    Pieces pieces;
    const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
    const PCRE2_SIZE* const range = pcre2_get_ovector_pointer(match_.get());
    // Without NO_UTF_CHECK every match would check all of the text again.
    for (PCRE2_SIZE at = 0; at < text.size(); at = range[1]) {
      if (pcre2_match(code_.get(), subject, text.size(), at, PCRE2_NO_UTF_CHECK, match_.get(), nullptr) < 0) break;
      pieces.push_back(text.substr(range[0], range[1] - range[0]));
    }
    return pieces;
  }

 private:
  std::unique_ptr<pcre2_code, decltype(&pcre2_code_free)> code_{nullptr, &pcre2_code_free};
  std::unique_ptr<pcre2_match_data, decltype(&pcre2_match_data_free)> match_{nullptr, &pcre2_match_data_free};
};

// Code points of which PCRE2's Unicode (14.0 in Debian 12) thinks as our tables (16.0) do; the others were assigned in between.
std::vector<char32_t> agreed_code_points() {
  std::string all;
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (c < 0xD800 || c >= 0xE000) append_utf8(all, c);
  }
  std::vector<CharClass> theirs(0x110000, CharClass::other);
  const std::pair<const char*, CharClass> classes[] = {
      {"\\p{L}", CharClass::letter}, {"\\p{N}", CharClass::number}, {"\\s", CharClass::space}};
  for (const auto& [expression, char_class] : classes) {
    for (const std::string& match : Regex(expression).all(all)) {
      std::size_t offset = 0;
      theirs[next_code_point(match, offset)] = char_class;
    }
  }
  std::vector<char32_t> agreed;
  for (char32_t c = 0; c < 0x110000; ++c) {
    if ((c < 0xD800 || c >= 0xE000) && class_of(c) == theirs[c]) agreed.push_back(c);
  }
  return agreed;
}

class Patterns : public ::testing::TestWithParam<PatternKind> {};
INSTANTIATE_TEST_SUITE_P(All, Patterns,
                         ::testing::Values(PatternKind::gpt2, PatternKind::cl100k_base, PatternKind::qwen2, PatternKind::nanochat),
                         [](const auto& parameter) { return pattern_name(parameter.param); });

TEST_P(Patterns, PiecesEqualPcre2OnChosenText) {
  Regex regex(tiktoken_regex(GetParam()));
  for (const char* text : {"Hello world this is",
                           "I'll we've you're it's I'd don't I'm",
                           "I'LL IT'S don'T 'Sx 'ſ 'ſabc x'ſ '",
                           "''s '''ll 'l 've'r 'v",
                           "  two   three    ",
                           " ",
                           "  ",
                           "\n",
                           "a\n",
                           "a \n",
                           "a\n\n  b",
                           "a \r\n \n\n  b\t\tc",
                           "\n\n   \n x",
                           "  \n",
                           "x  \n  ",
                           "1234567 12 1",
                           " 1234 ½Ⅷ٣٣٣٣",
                           "a1b2 c3",
                           "?! ...\n\n;x",
                           " ...\r\n\r\ny",
                           "¿qué? «più» naïve – ‘ok’",
                           "漢字かな交じり文。です",
                           "a\u3000b\u00A0c\u2003\u2003d",
                           "\u200Bx \uFEFFy",
                           "😀😀 😀a",
                           "e\u0301a",
                           "x\ty\t\tz",
                           "\tx",
                           " \tx",
                           "_a_b",
                           " _a",
                           "\v\fx",
                           "a\u0085b\u2028\n"}) {
    EXPECT_EQ(scanned(GetParam(), text), regex.all(text)) << text;
  }
}

TEST_P(Patterns, PiecesEqualPcre2OnRandomText) {
  static const std::vector<char32_t> any = agreed_code_points();
  ASSERT_GT(any.size(), 1'090'000u);  // of 1,112,064: only newly assigned ones may differ
  const std::u32string frequent = U"  \n\r\t'''sSdDmMtTlLvVeErRſaZ09½.,!?_-é漢\u00A0\u3000\u2028\u0301😀";
  Regex regex(tiktoken_regex(GetParam()));
  std::mt19937_64 random(20);
  for (int round = 0; round < 30'000; ++round) {
    std::string text;
    const bool wild = round % 4 == 0;
    for (std::uint64_t length = random() % 60; length > 0; --length) {
      const char32_t c = wild && random() % 2 ? any[random() % any.size()] : frequent[random() % frequent.size()];
      for (std::uint64_t repeat = random() % 8 == 0 ? random() % 40 : 1; repeat > 0; --repeat) append_utf8(text, c);
    }
    ASSERT_EQ(scanned(GetParam(), text), regex.all(text)) << ::testing::PrintToString(text);
  }
}

// The published expressions and tiktoken's cut trailing white space differently, nothing else.
TEST_P(Patterns, PublishedExpressionGivesTheSamePiecesBeforeTrailingSpace) {
  Regex published(published_regex(GetParam()));
  for (const char* text : {"It's 12345 o'clock,\n\n  and   all's  well!\r\n...x", "naïve  漢字 😀\t\tx"}) {
    EXPECT_EQ(scanned(GetParam(), text), published.all(text)) << text;
  }
}

TEST_P(Patterns, NamesAndExpressionsFindThePattern) {
  EXPECT_EQ(pattern_from_name(pattern_name(GetParam())), GetParam());
  for (const std::string& expression : {published_regex(GetParam()), tiktoken_regex(GetParam())}) {
    EXPECT_EQ(Pattern(std::vector<CutStep>{{expression}}), GetParam());
    EXPECT_EQ(pattern_from_name("regex:" + expression), GetParam());
  }
}

TEST(Pretokenizer, UnknownNameListsTheKnownOnes) {
  try {
    pattern_from_name("gpt3");
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_EQ(error.what(), std::string("pre-tokeniser pattern 'gpt3' is not known; allowed: ") + kPatternValues);
  }
  EXPECT_EQ(pattern_from_name("llama3"), Pattern::cl100k_base);
  EXPECT_EQ(pattern_name(Pattern(std::vector<CutStep>{{"\\s"}, {"a"}})), "regex:\\s then regex:a");
}

}  // namespace
}  // namespace longhaul::tokenizer
