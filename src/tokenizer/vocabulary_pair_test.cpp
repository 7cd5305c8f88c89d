// vocab.json with merges.txt: which file is what, what is found beside it, whose ids hold, what is special.
#include "tokenizer/vocabulary_pair.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/source_tree.h"
#include "tokenizer/byte_level.h"
#include "tokenizer/tokenizer.h"
#include "units/error.h"
#include "units/test_directory.h"

namespace longhaul::tokenizer {
namespace {

const std::filesystem::path kCase = source_tree("tests/golden/tokenizer_pair");

// <s> and </s>, the bytes, then "th", "the"; ids that GPT-2's numbering would not give.
std::string small_vocabulary_json() {
  nlohmann::ordered_json vocabulary = {{"<s>", 0}, {"</s>", 1}};
  int id = 2;
  for (const char byte : byte_level_order()) vocabulary[to_byte_level({&byte, 1})] = id++;
  vocabulary["the"] = id++;
  vocabulary["th"] = id++;
  return vocabulary.dump();
}

constexpr const char* kSmallMerges = "#version: 0.2\nt h\nth e\n";

TEST(VocabularyPair, EitherFileFindsTheOther) {
  for (const char* file : {"vocab.json", "merges.txt"}) {
    EXPECT_EQ(Tokenizer::load(kCase / file).encode_ordinary("Once upon a time"), (std::vector<std::int32_t>{306, 302, 261, 305})) << file;
  }
}

TEST(VocabularyPair, IdsAreThoseOfTheVocabularyAndWhatNothingMakesIsSpecial) {
  const TestDirectory directory;
  directory.write("small-vocab.json", small_vocabulary_json());
  const Tokenizer tokenizer = Tokenizer::load(directory.write("small-merges.txt", kSmallMerges));
  EXPECT_EQ(tokenizer.encode_ordinary("theth"), (std::vector<std::int32_t>{258, 259}));
  EXPECT_EQ(tokenizer.encode_ordinary("<s>").size(), 3u) << "text does not give a special token";
  EXPECT_EQ(tokenizer.decode(std::vector<std::int32_t>{0, 258, 1}), "<s>the</s>");
}

TEST(VocabularyPair, AloneItIsRefusedAndTheMissingFileNamed) {
  const TestDirectory directory;
  const std::filesystem::path merges = directory.write("merges.txt", kSmallMerges);
  EXPECT_EQ(message_of<DataError>([&] { Tokenizer::load(merges); }),
            merges.string() +
                ": a list of merges does not say which id a token has: that is in its vocab.json, and none lies beside it (looked "
                "for vocab.json, encoder.json); allowed: both files in one folder, or a tokenizer.json");
  const TestDirectory other;
  const std::filesystem::path vocabulary = other.write("vocab.json", small_vocabulary_json());
  EXPECT_TRUE(
      contains(message_of<DataError>([&] { Tokenizer::load(vocabulary); }), "none lies beside it (looked for merges.txt, vocab.bpe)"));
  EXPECT_TRUE(contains(message_of<DataError>([&] { Tokenizer::parse(kSmallMerges, "m"); }), "m: a list of merges does not say"));
}

TEST(VocabularyPair, AClassThatCutsOtherwiseNeedsAPattern) {
  const TestDirectory directory;
  directory.write("vocab.json", small_vocabulary_json());
  const std::filesystem::path merges = directory.write("merges.txt", kSmallMerges);
  directory.write("tokenizer_config.json", "{\"tokenizer_class\": \"GPT2TokenizerFast\"}");
  EXPECT_NO_THROW(Tokenizer::load(merges));
  directory.write("tokenizer_config.json", "{\"tokenizer_class\": \"Qwen2Tokenizer\"}");
  EXPECT_EQ(message_of<DataError>([&] { Tokenizer::load(merges); }),
            merges.string() +
                ": tokenizer_config.json beside it names the class Qwen2Tokenizer, which may cut text otherwise than GPT-2; allowed: "
                "its tokenizer.json, or --pattern and the name of its pattern");
  EXPECT_NO_THROW(Tokenizer::load(merges, Pattern(PatternKind::qwen2)));
}

TEST(VocabularyPair, DamageIsNamedWithItsLine) {
  const auto refused = [](const std::string& vocabulary, const std::string& merges) {
    return message_of<DataError>([&] { Tokenizer(parse_vocabulary_pair(vocabulary, "v", merges, "m", std::nullopt)); });
  };
  const std::string good = small_vocabulary_json();
  EXPECT_EQ(refused(good, "#version: 0.2\nt h\nth  e\n"),
            "m:3: 'th  e' is no merge; allowed: two tokens in GPT-2's byte names and one space between");
  EXPECT_EQ(refused(good, "t h\nh e\n"), "m:2: 'h e' needs the token 'he', which v does not have");
  EXPECT_EQ(refused("[1]", kSmallMerges), "v: not a JSON object of tokens and their ids");
  EXPECT_EQ(refused("{\"a\": 1.5}", kSmallMerges), "v: id of 'a' is 1.5; allowed: numbers from 0, without large gaps");
  EXPECT_EQ(refused("{\"a\": 0, \"b\": 0}", kSmallMerges), "v: id 0 belongs to 'b' and to another token");
  EXPECT_EQ(refused("{\"a\": 99999999}", kSmallMerges), "v: id of 'a' is 99999999; allowed: numbers from 0, without large gaps");
  EXPECT_EQ(refused("{\"t\": 0, \"h\": 1, \"th\": 2}", "t h\n"), "v: byte 0x00 has no token; a byte-level vocabulary holds all 256");
}

TEST(VocabularyPair, FilesAreToldApartByTheirBeginning) {
  EXPECT_EQ(pair_file("{\"version\": \"1.0\", \"model\": {}}", "f"), PairFile::none);
  EXPECT_EQ(pair_file("{\"version\": 17}", "f"), PairFile::vocabulary);
  EXPECT_EQ(pair_file("{\"!\": 0}", "f"), PairFile::vocabulary);
  EXPECT_EQ(pair_file("#version: 0.2\n", "f"), PairFile::merges);
  EXPECT_EQ(pair_file("t h\n", "own-merges.txt"), PairFile::merges);
  EXPECT_EQ(pair_file("AA== 0\n", "f.tiktoken"), PairFile::none);
  EXPECT_EQ(pair_file("{", "f"), PairFile::none);
}

TEST(Gpt2Merges, BytesComeFirstInGpt2sOrderThenMerges) {
  const Tokenizer tokenizer(parse_gpt2_merges("#version: 0.2\n\u0120 t\nh e\n\u0120t he\n", "vocab.bpe"));
  EXPECT_EQ(tokenizer.token_bytes(0), "!");
  EXPECT_EQ(tokenizer.token_bytes(188), std::string(1, '\0'));
  EXPECT_EQ(tokenizer.token_bytes(220), " ");
  EXPECT_EQ(tokenizer.encode_ordinary(" the t"), (std::vector<std::int32_t>{258, 256}));
  EXPECT_EQ(tokenizer.framing().end, 259);
}

TEST(Gpt2Merges, DamageIsNamedWithItsLine) {
  const auto refused = [](const std::string& merges) { return message_of<DataError>([&] { parse_gpt2_merges(merges, "v"); }); };
  EXPECT_EQ(refused("#version: 0.2\nhe r\n"), "v:2: 'he r' merges a token that no line before makes");
  EXPECT_EQ(refused("#version: 0.2\nh e\nh e\n"), "v:3: 'h e' makes a token twice");
}

}  // namespace
}  // namespace longhaul::tokenizer
