#include "files/read.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <bit>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>

#include "files/testing.h"

namespace longhaul::files {
namespace {

using namespace testing;
using nlohmann::json;

TEST(Sha256, KnownVectors) {  // FIPS 180-4
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(DigestFile, AgreesWithAndWithoutThePageCache) {
  const TemporaryDirectory dir;
  const std::string text(3'000'000, 'q');
  spill(dir.path() / "f", text);
  EXPECT_EQ(digest_file(dir.path() / "f").sha256, sha256_hex(text));
  EXPECT_EQ(digest_file(dir.path() / "f", true), (FileDigest{sha256_hex(text), text.size()}));
}

TEST(ReadFile, RefusesWhatIsTooLargeOrNoFile) {
  const TemporaryDirectory dir;
  spill(dir.path() / "f", "12345");
  EXPECT_EQ(read_file(dir.path() / "f", 5), "12345");
  EXPECT_NE(message_of([&] { read_file(dir.path() / "f", 4); }).find("larger than 4 bytes"), std::string::npos);
  EXPECT_THROW(read_file(dir.path() / "none"), FileError);
  EXPECT_THROW(read_file(dir.path()), FileError);
  EXPECT_THROW(read_input(dir.path() / "none"), UsageError);
  EXPECT_THROW(read_input(dir.path()), UsageError);
  std::filesystem::create_symlink(dir.path() / "f", dir.path() / "link");
  EXPECT_THROW(read_file(dir.path() / "link"), FileError);
  ASSERT_EQ(::mkfifo((dir.path() / "pipe").c_str(), 0600), 0);
  EXPECT_THROW(read_file(dir.path() / "pipe"), FileError);  // and does not wait for a writer
}

TEST(MappedFile, HoldsTheBytes) {
  const TemporaryDirectory dir;
  spill(dir.path() / "f", "bytes");
  spill(dir.path() / "empty", "");
  MappedFile file(dir.path() / "f");
  const MappedFile moved = std::move(file);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(moved.bytes().data()), moved.bytes().size()), "bytes");
  EXPECT_TRUE(MappedFile(dir.path() / "empty").bytes().empty());
}

TEST(ParseJson, DepthIsAtMost64) {
  const auto nested = [](int depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_NO_THROW(parse_json(nested(64), "doc"));
  EXPECT_NE(message_of([&] { parse_json(nested(65), "doc"); }).find("doc: nested deeper than 64"), std::string::npos);
  EXPECT_THROW(parse_json(nested(1'000'000), "doc"), Error);
}

TEST(ParseJson, RefusesRepeatedKeysAndInvalidText) {
  EXPECT_NO_THROW(parse_json(R"({"a":{"b":1},"c":{"b":2}})", "doc"));
  EXPECT_NE(message_of([] { parse_json(R"({"a":1,"b":{},"a":2})", "doc"); }).find("\"a\" appears twice"), std::string::npos);
  for (const char* bad : {"", "{", "{\"a\":1}x", "[1,]", "{\"a\":nan}", "\"\xff\"", "\"\\ud800\"", "01"}) {
    EXPECT_THROW(parse_json(bad, "doc"), Error) << bad;
  }
  EXPECT_THROW(parse_json(std::string(kMaxDocumentBytes + 1, ' '), "doc"), Error);
}

TEST(CanonicalJson, IsSortedTightAndShortest) {
  const json value = {{"b", {1, 2.5, true, nullptr}}, {"a", 0.1}, {"c", "é\"\n"}, {"whole", 3.0}, {"tiny", 5e-324}, {"minus", -0.0}};
  EXPECT_EQ(canonical_json(value), R"({"a":0.1,"b":[1,2.5,true,null],"c":"é\"\n","minus":-0.0,"tiny":5e-324,"whole":3.0})");
  const double inf = std::numeric_limits<double>::infinity();
  EXPECT_EQ(canonical_json({inf, -inf, std::nan("")}), R"(["inf","-inf","nan"])");
}

// The property the ledger and the manifest rest on: text → value → text is the identity, and doubles keep their bits.
TEST(CanonicalJson, ReadsBackToTheSameBitsAndTheSameBytes) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 20'000; ++i) {
    const double value = std::bit_cast<double>(random());
    const std::string text = canonical_json({value});
    const json back = parse_json(text, "doc");
    EXPECT_EQ(canonical_json(back), text);
    const double read = json_double(back[0]);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(read));
    } else {
      EXPECT_EQ(std::bit_cast<std::uint64_t>(read), std::bit_cast<std::uint64_t>(value)) << text;
    }
  }
}

TEST(CanonicalJson, DoesNotThrowOnBytesThatAreNoText) { EXPECT_EQ(canonical_json("a\xff"), "\"a\xEF\xBF\xBD\""); }

TEST(DoubleBits, AreExactForEveryPattern) {
  EXPECT_EQ(double_bits(1.0), "3ff0000000000000");
  EXPECT_EQ(double_bits(0.0), "0000000000000000");
  std::mt19937_64 random(2);
  for (int i = 0; i < 1000; ++i) {
    const std::uint64_t bits = random();
    EXPECT_EQ(std::bit_cast<std::uint64_t>(double_from_bits(double_bits(std::bit_cast<double>(bits)))), bits);
  }
  for (const char* bad : {"", "3ff", "3ff000000000000g", "-ff0000000000000", "3ff00000000000000"})
    EXPECT_THROW(double_from_bits(bad), Error);
}

}  // namespace
}  // namespace longhaul::files
