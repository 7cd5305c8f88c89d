#include "files/toml.h"

#include <gtest/gtest.h>

#include "units/testing.h"

namespace longhaul::files {
namespace {

std::string error_of(const std::string& text) {
  return longhaul::testing::usage_error([&] { (void)parse_toml(text, "run.toml"); });
}

TEST(Toml, ReadsWhatIsWellFormed) { EXPECT_EQ(parse_toml("[a]\nb = 3\n", "x")["a"]["b"].value<int>(), 3); }

TEST(Toml, NamesTheLine) { EXPECT_EQ(error_of("a = 1\nb = \n").rfind("run.toml:2: ", 0), 0u) << error_of("a = 1\nb = \n"); }

// Each of these ended the process, or worse went on undefined, in the library as it is packaged.
TEST(Toml, LettersThatTheLibrarysTablesForgot) {
  for (const std::string key : {"caf\xC3\xA9", "laq\xCC\x93", "\xC3\x9Fx", "\xD0\xB0"}) EXPECT_NE(error_of(key + " = 1\n"), "") << key;
}

TEST(Toml, InvalidUtf8IsAnError) {
  for (const std::string text : {"a\xFF = 1\n", "a = \"\xC3\"\n", "\xED\xA0\x80 = 1\n"}) EXPECT_NE(error_of(text), "") << text;
}

TEST(Toml, NestingIsLimited) {
  EXPECT_NE(error_of("a = " + std::string(100, '[') + std::string(100, ']')), "");
  std::string dotted = "a";
  for (int i = 0; i < 40; ++i) dotted += ".a";
  EXPECT_NE(error_of(dotted + " = 1\n").find("32 dots"), std::string::npos);
}

}  // namespace
}  // namespace longhaul::files
