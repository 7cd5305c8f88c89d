// Vocabulary files: what is read, what comes back after saving, what is refused and how.
#include "tokenizer/tokenizer.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "files/testing.h"
#include "tokenizer/bpe_tables.h"
#include "tokenizer/bpe_train.h"
#include "tokenizer/byte_level.h"
#include "tokenizer/pretokenizer.h"
#include "units/error.h"

namespace longhaul::tokenizer {
namespace {

using Json = nlohmann::ordered_json;

std::string base64(std::string_view bytes) {
  static constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t bits = 0;
    for (std::size_t k = 0; k < 3; ++k) bits = bits << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    for (std::size_t k = 0; k < 4; ++k) text += i + k <= bytes.size() ? kDigits[bits >> (18 - 6 * k) & 63] : '=';
  }
  return text;
}

std::string byte_lines() {
  std::string lines;
  for (int byte = 0; byte < 256; ++byte) lines += base64(std::string(1, static_cast<char>(byte))) + " " + std::to_string(byte) + "\n";
  return lines;
}

Tokenizer trained(const Pattern& pattern = Pattern::gpt2) {
  bool first = true;
  const auto next = [&first](std::string& text) {
    text = "the theme of the thesis is that these thin things, the 2024 ones, thrive — naïvely; \"quoted\\text\"\n\n  the end";
    return std::exchange(first, false);
  };
  return train_bpe(next, {.vocab_size = 300, .pattern = pattern, .threads = 1, .on_progress = {}});
}

constexpr const char* kText = "  the thesis — \"naïve\"\\ 12345 things's THE\n\n\x7F\t";

// The message with which `contents` is refused.
std::string refusal(const std::string& contents, const std::optional<Pattern>& pattern = Pattern::gpt2) {
  return files::testing::message_of([&] { Tokenizer::parse(contents, "v", pattern); });
}

TEST(TokenizerJson, SavingAndLoadingKeepsIdsAndFingerprint) {
  const files::testing::TemporaryDirectory directory;
  for (const Pattern& pattern : {Pattern::gpt2, Pattern::cl100k_base, Pattern(PatternKind::o200k_base)}) {
    const Tokenizer saved = trained(pattern);
    const std::filesystem::path file = directory.path() / "tokenizer.json";
    saved.save(file);
    const Tokenizer loaded = Tokenizer::load(file);
    EXPECT_EQ(loaded.fingerprint(), saved.fingerprint());
    EXPECT_EQ(loaded.tables().pattern(), pattern);
    EXPECT_EQ(loaded.framing().end, saved.framing().end);
    EXPECT_EQ(loaded.encode_ordinary(kText), saved.encode_ordinary(kText));
    EXPECT_EQ(loaded.to_json(), saved.to_json());
  }
}

TEST(TokenizerJson, HoldsWhatHuggingFaceExpects) {
  const Json file = Json::parse(trained(Pattern::cl100k_base).to_json());
  EXPECT_EQ(file["version"], "1.0");
  EXPECT_EQ(file["model"]["type"], "BPE");
  EXPECT_EQ(file["model"]["vocab"]["<|endoftext|>"], 299);
  EXPECT_EQ(file["model"]["vocab"].size(), 300u);
  EXPECT_EQ(file["model"]["merges"][0], "t h");
  EXPECT_EQ(file["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"], Pattern::cl100k_base.steps().front().expression);
  EXPECT_EQ(file["decoder"]["type"], "ByteLevel");
}

TEST(TokenizerJson, MergesAsPairsAreReadToo) {
  const Tokenizer saved = trained();
  Json file = Json::parse(saved.to_json());
  for (Json& merge : file["model"]["merges"]) {
    const std::string text = merge;
    merge = Json::array({text.substr(0, text.find(' ')), text.substr(text.find(' ') + 1)});
  }
  EXPECT_EQ(Tokenizer::parse(file.dump(), "v").to_json(), saved.to_json());
}

TEST(TokenizerJson, WhatCannotBeDoneExactlyIsRefusedByName) {
  const Json good = Json::parse(trained().to_json());
  const auto with = [&good](const char* pointer, Json value) {
    Json file = good;
    file[Json::json_pointer(pointer)] = std::move(value);
    return refusal(file.dump());
  };
  EXPECT_EQ(with("/model/type", "Unigram"), "v: model.type is 'Unigram'; implemented: BPE");
  EXPECT_EQ(with("/model/dropout", 0.1), "v: model.dropout is set; allowed: null");
  EXPECT_EQ(with("/model/merges/0", "t"), "v: model.merges[0] is \"t\"; allowed: \"left right\"");
  EXPECT_EQ(with("/model/merges/0", "t \u0120\u0120\u0120"),
            "v: model.merges[0] needs the token '\u0120\u0120\u0120', which model.vocab does not have");
  EXPECT_EQ(with("/model/vocab/t", 1 << 30), "v: id of 't' is 1073741824; allowed: numbers from 0, without large gaps");
  EXPECT_EQ(with("/model/vocab/t", 5), "v: id 5 belongs to 't' and to '\u0105'");
  EXPECT_EQ(with("/model/vocab/\u6F22", 400), "v: token '\u6F22' is not written in GPT-2's byte names");
  EXPECT_EQ(with("/added_tokens/0/id", 3), "v: '<|endoftext|>' has id 299 in model.vocab and 3 in added_tokens");
  EXPECT_NE(with("/pre_tokenizer", nullptr), "");
  EXPECT_NE(with("/model/vocab", nullptr), "");
  EXPECT_NE(refusal(good.dump(), Pattern::cl100k_base), "");
  EXPECT_NE(refusal("{\"model\": "), "");
  EXPECT_NE(refusal("{\"a\": " + std::string(100, '[') + std::string(100, ']') + "}"), "");
}

TEST(TiktokenFile, RanksAreIdsAndEndoftextIsNext) {
  const Tokenizer tokenizer = Tokenizer::parse(byte_lines() + base64("ab") + " 256\n" + base64("abc") + " 257\n", "v", Pattern::gpt2);
  EXPECT_EQ(tokenizer.encode_ordinary("abc abcab"), (std::vector<std::int32_t>{257, 32, 257, 256}));
  EXPECT_EQ(tokenizer.framing().end, 258);
  EXPECT_EQ(tokenizer.decode(std::vector<std::int32_t>{257, 258}), "abc<|endoftext|>");
}

TEST(TiktokenFile, ItsTokenizerJsonGivesTheSameIds) {
  const Tokenizer ranked =
      Tokenizer::parse(byte_lines() + base64("ab") + " 256\n" + base64("bc") + " 257\n" + base64("abc") + " 258\r\n", "v", Pattern::gpt2);
  const Tokenizer loaded = Tokenizer::parse(ranked.to_json(), "v");
  EXPECT_EQ(loaded.fingerprint(), ranked.fingerprint());
  for (const char* text : {"abc", "xabc", "abcbcab", "bcabcabc"}) EXPECT_EQ(loaded.encode_ordinary(text), ranked.encode_ordinary(text));
}

TEST(TiktokenFile, DamageIsNamedWithItsLine) {
  const std::string bytes = byte_lines();
  EXPECT_EQ(refusal(bytes + "YWI 256\n"), "v:257: 'YWI 256' is no token; allowed: base64 of its bytes, a space, its rank");
  EXPECT_EQ(refusal(bytes + "YWI="), "v:257: 'YWI=' is no token; allowed: base64 of its bytes, a space, its rank");
  EXPECT_EQ(refusal(bytes + "Y=I= 256"), "v:257: 'Y=I= 256' is no token; allowed: base64 of its bytes, a space, its rank");
  EXPECT_EQ(refusal(bytes + "YWI= -1"), "v:257: rank '-1'; allowed: a whole number from 0 to 16777215");
  EXPECT_EQ(refusal(bytes + "YWI= 256x"), "v:257: rank '256x'; allowed: a whole number from 0 to 16777215");
  EXPECT_EQ(refusal(bytes + "YWI= 7"), "v:257: rank 7 was given in line 8 already");
  EXPECT_EQ(refusal(bytes + "YWI= 256\nYWI= 257\n"), "v: ids 256 and 257 are the same bytes");
  EXPECT_EQ(refusal(bytes + "YWI= 16777215"), "v: 257 tokens but a rank of 16777215; allowed: ranks without large gaps");
  EXPECT_EQ(refusal(bytes.substr(bytes.find('\n') + 1)), "v: byte 0x00 has no token; a byte-level vocabulary holds all 256");
  EXPECT_EQ(refusal(bytes + base64(std::string(2000, 'a')) + " 256"), "v: token 256 has 2000 bytes; allowed: at most 1024");
  EXPECT_EQ(refusal(bytes + base64("<|endoftext|>") + " 256"), "v: special token '<|endoftext|>' is also the text of another token");
  EXPECT_EQ(refusal(bytes, std::nullopt),
            std::string("v: a rank file does not say how text is cut; name the pattern: --pattern ") + kPatternValues);
  EXPECT_EQ(refusal("  \n"),
            "v: empty; allowed: a tokenizer.json, a tiktoken rank file, vocab.json and merges.txt, or a SentencePiece model");
  EXPECT_NE(refusal("\x7F\x45LF binary \xFF"), "");
}

TEST(Tokenizer, FingerprintsTellVocabulariesApart) {
  const Tokenizer one = Tokenizer::parse(byte_lines() + base64("ab") + " 256\n", "one", Pattern::gpt2);
  const Tokenizer same = Tokenizer::parse(byte_lines() + base64("ab") + " 256\n", "other name", Pattern::gpt2);
  const Tokenizer token = Tokenizer::parse(byte_lines() + base64("ac") + " 256\n", "one", Pattern::gpt2);
  const Tokenizer pattern = Tokenizer::parse(byte_lines() + base64("ab") + " 256\n", "one", Pattern::cl100k_base);
  EXPECT_EQ(one.fingerprint().size(), 64u);
  EXPECT_EQ(one.fingerprint(), same.fingerprint());
  EXPECT_NE(one.fingerprint(), token.fingerprint());
  EXPECT_NE(one.fingerprint(), pattern.fingerprint());
}

TEST(Tokenizer, UnknownIdsAndMissingFilesAreDataErrors) {
  const Tokenizer tokenizer = trained();
  EXPECT_THROW(tokenizer.decode(std::vector<std::int32_t>{300}), DataError);
  EXPECT_THROW(tokenizer.decode(std::vector<std::int32_t>{-1}), DataError);
  EXPECT_THROW(Tokenizer::load("/nonexistent/tokenizer.json"), DataError);
}

TEST(ByteLevel, NamesOfBytesAreGpt2s) {
  EXPECT_EQ(to_byte_level(" \n\ta\xFF"), "ĠĊĉaÿ");
  EXPECT_EQ(byte_level_order().size(), 256u);
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  EXPECT_EQ(from_byte_level(to_byte_level(all)), all);
  EXPECT_FALSE(from_byte_level("a b"));
  EXPECT_FALSE(from_byte_level("漢"));
}

}  // namespace
}  // namespace longhaul::tokenizer
