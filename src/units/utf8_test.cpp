#include "units/utf8.h"

#include <gtest/gtest.h>

namespace longhaul {
namespace {

TEST(Utf8, ValidTextHasNoInvalidByte) {
  EXPECT_FALSE(first_invalid_utf8(""));
  EXPECT_FALSE(first_invalid_utf8("plain"));
  EXPECT_FALSE(first_invalid_utf8(std::string(100, 'a') + "é – 漢字 😀"));
}

TEST(Utf8, FirstInvalidByteIsFoundBehindLongAscii) {
  for (std::size_t length : {0u, 1u, 31u, 32u, 33u, 100u}) {
    EXPECT_EQ(first_invalid_utf8(std::string(length, 'a') + "\xFF" + "b"), length);
  }
}

TEST(Utf8, IllFormedSequencesOfTheStandardAreRefused) {
  for (const char* bad : {"\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xED\xA0\x80", "\xF0\x80\x80\x80", "\xF4\x90\x80\x80", "\xF5",
                          "\xC3", "\xE2\x82", "\xF0\x9F\x98"}) {
    EXPECT_EQ(first_invalid_utf8(std::string("é") + bad), 2u) << ::testing::PrintToString(bad);
  }
}

// The examples of the Unicode standard, tables 3-8 to 3-11; Python's bytes.decode('utf-8', 'replace') gives the same.
TEST(Utf8, EachMaximalInvalidPartBecomesOneReplacement) {
  const std::string r = "\xEF\xBF\xBD";
  EXPECT_EQ(replace_invalid_utf8("a\xF1\x80\x80\xE1\x80\xC2"
                                 "b\x80"
                                 "c\x80\xBF"
                                 "d"),
            "a" + r + r + r + "b" + r + "c" + r + r + "d");
  EXPECT_EQ(replace_invalid_utf8("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82"
                                 "A"),
            r + r + r + r + r + r + r + r + "A");
  EXPECT_EQ(replace_invalid_utf8("\xED\xA0\x80"), r + r + r);
  EXPECT_EQ(replace_invalid_utf8("é"), "é");
}

TEST(Utf8, EveryScalarValueSurvivesWritingAndReading) {
  for (char32_t c = 0; c < 0x110000; c += c < 0x3000 ? 1 : 97) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string text;
    append_utf8(text, c);
    ASSERT_FALSE(first_invalid_utf8(text)) << std::hex << static_cast<std::uint32_t>(c);
    std::size_t offset = 0;
    ASSERT_TRUE(next_code_point(text, offset) == c) << std::hex << static_cast<std::uint32_t>(c);
    ASSERT_EQ(offset, text.size());
  }
}

}  // namespace
}  // namespace longhaul
