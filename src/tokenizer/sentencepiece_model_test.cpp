// .model files made here, byte by byte: their ids, and what is refused under which name.
#include "tokenizer/sentencepiece_model.h"

#include <gtest/gtest.h>

#include <bit>

#include "tokenizer/tokenizer.h"
#include "units/test_directory.h"

namespace longhaul::tokenizer {
namespace {

std::string wire_varint(std::uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>((value & 0x7F) | 0x80);
  return bytes + static_cast<char>(value);
}
std::string wire_number(std::uint64_t field, std::uint64_t value) { return wire_varint(field << 3) + wire_varint(value); }
std::string wire_bytes(std::uint64_t field, const std::string& bytes) {
  return wire_varint(field << 3 | 2) + wire_varint(bytes.size()) + bytes;
}
std::string wire_float(std::uint64_t field, float value) {
  std::string bytes = wire_varint(field << 3 | 5);
  for (std::uint32_t bits = std::bit_cast<std::uint32_t>(value), i = 0; i < 4; ++i, bits >>= 8) bytes += static_cast<char>(bits & 0xFF);
  return bytes;
}

std::string piece(const std::string& text, float score, std::uint64_t type = 1) {
  return wire_bytes(1, wire_bytes(1, text) + wire_float(2, score) + (type == 1 ? "" : wire_number(3, type)));
}

std::string byte_pieces() {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) {
    static constexpr const char* kHex = "0123456789ABCDEF";
    all += piece(std::string("<0x") + kHex[byte / 16] + kHex[byte % 16] + ">", 0, 6);
  }
  return all;
}

const std::string kBpe = wire_bytes(2, wire_number(3, 2) + wire_number(35, 1));
std::string identity(bool prefix) { return wire_bytes(3, wire_bytes(1, "identity") + wire_number(3, prefix ? 1 : 0) + wire_number(4, 0)); }

// As Llama 2's: <unk> 0, <s> 1, </s> 2, bytes 3 to 258. Scores fall, but the file's order is not theirs.
std::string small_model(const std::string& more = "", bool prefix = true) {
  return piece("<unk>", 0, 2) + piece("<s>", 0, 3) + piece("</s>", 0, 3) + byte_pieces() + piece("the", -1) + piece("th", 0) +
         piece("▁th", -2) + piece("▁", -10) + piece("t", -11) + piece("h", -12) + piece("e", -13) + more + kBpe + identity(prefix);
}

std::string refused_model(const std::string& contents) {
  return message_of<DataError>([&] { Tokenizer::parse(contents, "m"); });
}

TEST(SentencePieceModel, MergesByScoreWithByteFallbackAndADummyPrefix) {
  ASSERT_TRUE(is_sentencepiece_model(small_model()));
  const Tokenizer tokenizer = Tokenizer::parse(small_model(), "m");
  EXPECT_EQ(tokenizer.encode_ordinary("the"), (std::vector<std::int32_t>{262, 259})) << "th, then the before ▁th";
  EXPECT_EQ(tokenizer.encode_ordinary("th"), (std::vector<std::int32_t>{261}));
  EXPECT_EQ(tokenizer.encode_ordinary("é</s>")[1], 3 + 0xC3);
  EXPECT_EQ(tokenizer.decode(tokenizer.encode_ordinary(" the é\n")), " the é\n");
  EXPECT_EQ(tokenizer.framing().begin, 1);
  EXPECT_EQ(tokenizer.framing().end, 2);
  const Tokenizer saved = Tokenizer::parse(tokenizer.to_json(), "saved");
  EXPECT_EQ(saved.fingerprint(), tokenizer.fingerprint());
  EXPECT_EQ(saved.encode_ordinary("the th é"), tokenizer.encode_ordinary("the th é"));
}

TEST(SentencePieceModel, UserDefinedPiecesAreFoundFirst) {
  const Tokenizer tokenizer = Tokenizer::parse(small_model(piece("▁▁", 0, 4) + piece("th!", 0, 4), false), "m");
  EXPECT_EQ(tokenizer.encode_ordinary("th!th  t"), (std::vector<std::int32_t>{267, 260, 266, 263}));
}

TEST(SentencePieceModel, WhatIsNotImplementedIsNamed) {
  const std::string pieces = piece("<unk>", 0, 2) + byte_pieces() + piece("a", -1);
  EXPECT_EQ(refused_model(pieces + identity(true)), "m: trainer_spec.model_type is unigram; implemented: bpe");
  EXPECT_EQ(refused_model(pieces + wire_bytes(2, wire_number(3, 3)) + identity(true)),
            "m: trainer_spec.model_type is word; implemented: bpe");
  EXPECT_EQ(refused_model(pieces + kBpe + wire_bytes(3, wire_bytes(1, "nmt_nfkc") + wire_bytes(2, "table"))),
            "m: normalizer_spec 'nmt_nfkc' has a table of 5 bytes (precompiled_charsmap); implemented: identity");
  EXPECT_EQ(refused_model(pieces + kBpe), "m: normalizer_spec.remove_extra_whitespaces is true; implemented: false");
  EXPECT_EQ(refused_model(pieces + kBpe + wire_bytes(3, wire_number(4, 0) + wire_number(5, 0))),
            "m: normalizer_spec.escape_whitespaces is false; implemented: true");
  EXPECT_EQ(refused_model(pieces + wire_bytes(2, wire_number(3, 2) + wire_number(24, 1)) + identity(true)),
            "m: trainer_spec.treat_whitespace_as_suffix is true; implemented: false");
  EXPECT_EQ(
      refused_model(piece("<unk>", 0, 2) + piece("a", -1) + kBpe + identity(true)),
      "m: no pieces <0x00>… of single bytes (trainer_spec.byte_fallback is false): characters without a piece would be lost; implemented: "
      "with them");
  EXPECT_EQ(refused_model(small_model(piece("ab", 0, 5))),
            "m: piece 266 ('ab') is of type UNUSED; implemented: NORMAL, UNKNOWN, CONTROL, "
            "USER_DEFINED, BYTE");
  EXPECT_EQ(refused_model(small_model(piece("th!", 0, 4))),
            "m: piece 266 ('th!') is user-defined where normalizer_spec.add_dummy_prefix is true; implemented: one of the two");
  EXPECT_EQ(refused_model(small_model(piece("he", -1))), "m: pieces 259 and 266 have the same score -1; implemented: scores that differ");
  EXPECT_EQ(refused_model(small_model(piece("hx", -9))), "m: piece 'hx' has the character 'x', which is no piece");
}

TEST(SentencePieceModel, DamageIsNamedWithItsByte) {
  const std::string good = small_model();
  for (std::size_t length = 16; length < good.size() - 1; length += 11)
    EXPECT_THROW(Tokenizer::parse(good.substr(0, length), "m"), DataError) << length;
  EXPECT_EQ(refused_model(good + "\x0A"), "m: damaged at byte " + std::to_string(good.size() + 1) + ": the file ends inside a number");
  EXPECT_EQ(refused_model(good + "\x0A\x7F"),
            "m: damaged at byte " + std::to_string(good.size() + 2) + ": 127 bytes are announced, 0 are left");
  EXPECT_EQ(refused_model(good + "\x0B"), "m: damaged at byte " + std::to_string(good.size() + 1) + ": a field has the type 3");
  EXPECT_EQ(refused_model(small_model(piece("\xFF", 0))), "m: piece 266 ('?') is no text");
  EXPECT_EQ(refused_model(small_model(piece("<0x1>", 0, 6))), "m: piece 266 ('<0x1>') is of type BYTE; allowed: <0x00> to <0xFF>");
  EXPECT_EQ(refused_model(small_model(piece("<0x41>", 0, 6))), "m: ids 68 and 266 are both the token <0x41> of a byte");
}

}  // namespace
}  // namespace longhaul::tokenizer
