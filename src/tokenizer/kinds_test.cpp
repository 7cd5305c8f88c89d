// Vocabularies of each published kind, small: their ids, what comes back after saving, and what is refused under its name.
#include <gtest/gtest.h>

#include <random>

#include "tokenizer/bpe_encode.h"
#include "tokenizer/test_kinds.h"
#include "tokenizer/tokenizer.h"
#include "units/error.h"
#include "units/test_directory.h"
#include "units/utf8.h"

namespace longhaul::tokenizer {
namespace {

using KindJson = kinds::KindJson;
using KindIds = std::vector<std::int32_t>;

Tokenizer loaded(const KindJson& file) { return Tokenizer::parse(file.dump(), "v"); }

// The tokens of `text`, written as in the vocabulary.
std::vector<std::string> tokens_of(const KindJson& file, const std::string& text) {
  const Tokenizer tokenizer = loaded(file);
  std::vector<std::string> tokens;
  for (const std::int32_t id : tokenizer.encode_ordinary(text)) tokens.emplace_back(tokenizer.tables().token_text(id));
  return tokens;
}

using Tokens = std::vector<std::string>;

TEST(Kinds, Qwen2ComposesTextCutsEachNumberAndFindsAddedTokens) {
  EXPECT_EQ(tokens_of(kinds::qwen(), "e\u0301"), (Tokens{"é"})) << "NFC";
  EXPECT_EQ(tokens_of(kinds::qwen(), "12"), (Tokens{"1", "2"})) << "a merge would cross a piece";
  EXPECT_EQ(tokens_of(kinds::qwen(), "th<think>th"), (Tokens{"th", "<think>", "th"}));
  EXPECT_EQ(tokens_of(kinds::qwen(), "<|endoftext|>").size(), 13u) << "special tokens stay text";
}

TEST(Kinds, O200kCutsAtCapitalsAndKeepsContractions) {
  EXPECT_EQ(tokens_of(kinds::o200k(), "theThe1234"), (Tokens{"the", "T", "h", "e", "123", "4"}));
}

TEST(Kinds, TekkenCutsContractionsAndEachNumber) { EXPECT_EQ(tokens_of(kinds::tekken(), "the's12"), (Tokens{"the", "'s", "1", "2"})); }

TEST(Kinds, DeepSeekCutsByThreeExpressionsInTurn) { EXPECT_EQ(tokens_of(kinds::deepseek(), "tha1234"), (Tokens{"th", "a", "123", "4"})); }

TEST(Kinds, AByteLevelPrefixSpaceIsAddedWhereNoneIs) {
  EXPECT_EQ(tokens_of(kinds::prefixed(), "the the"), (Tokens{" the", " the"}));
  EXPECT_EQ(tokens_of(kinds::prefixed(), " the"), (Tokens{" the"}));
  EXPECT_EQ(tokens_of(kinds::gpt2(), "the the"), (Tokens{"the", " the"}));
}

TEST(Kinds, Llama2PrependsASpaceAndFallsBackToBytes) {
  EXPECT_EQ(tokens_of(kinds::llama2(), "the  th"), (Tokens{"▁the", "▁", "▁th"}));
  EXPECT_EQ(tokens_of(kinds::llama2(), "é"), (Tokens{"▁", "<0xC3>", "<0xA9>"}));
  EXPECT_EQ(tokens_of(kinds::llama2(), ""), Tokens{});
  const Tokenizer tokenizer = loaded(kinds::llama2());
  for (const std::string text : {"the é", " the", "  ", "x\ny", "<0x0A></s>"}) {
    EXPECT_EQ(tokenizer.decode(tokenizer.encode_ordinary(text)), text);
  }
  EXPECT_EQ(tokenizer.token_bytes(tokenizer.encode_ordinary("the")[0]), " the") << "a part of a text keeps its space";
  EXPECT_EQ(tokenizer.decode(tokenizer.encode_ordinary("the"), true), " the");
}

TEST(Kinds, GemmaFindsRunsOfLineFeedsAndPrependsNothing) {
  EXPECT_EQ(tokens_of(kinds::gemma(), "th th\n\n\n  "), (Tokens{"th", "▁th", "\n\n", "\n", "▁▁"}));
}

TEST(Kinds, MetaspacePrependsToTheFirstPartAlone) {
  KindJson file = kinds::metaspace();
  file["added_tokens"].push_back(kinds::added(500, "|", false));
  EXPECT_EQ(tokens_of(file, "th|th th"), (Tokens{"▁th", "|", "th", "▁th"}));
  file["pre_tokenizer"]["prepend_scheme"] = "always";
  EXPECT_EQ(tokens_of(file, "th|th"), (Tokens{"▁th", "|", "▁th"}));
  file["pre_tokenizer"]["prepend_scheme"] = "never";
  EXPECT_EQ(tokens_of(file, "th th"), (Tokens{"th", "▁th"}));
}

TEST(Kinds, SavingAndLoadingKeepsIdsAndFingerprints) {
  const std::string text = " the th  <think>\n\n\n1234's e\u0301é|漢字 \xF0\x9F\x98\x80 <0x0A>";
  for (const kinds::Kind& kind : kinds::all()) {
    const Tokenizer first = loaded(kind.file), again = Tokenizer::parse(first.to_json(), "saved");
    EXPECT_EQ(again.fingerprint(), first.fingerprint()) << kind.name;
    EXPECT_EQ(again.to_json(), first.to_json()) << kind.name;
    EXPECT_EQ(again.encode_ordinary(text), first.encode_ordinary(text)) << kind.name;
  }
}

TEST(Kinds, WhatChangesTheMeaningChangesTheFingerprint) {
  KindJson without_nfc = kinds::qwen(), other_added = kinds::qwen(), no_prefix = kinds::prefixed();
  without_nfc["normalizer"] = nullptr;
  other_added["added_tokens"][1]["normalized"] = true;
  no_prefix["pre_tokenizer"]["add_prefix_space"] = false;
  EXPECT_NE(loaded(without_nfc).fingerprint(), loaded(kinds::qwen()).fingerprint());
  EXPECT_NE(loaded(other_added).fingerprint(), loaded(kinds::qwen()).fingerprint());
  EXPECT_NE(loaded(no_prefix).fingerprint(), loaded(kinds::prefixed()).fingerprint());
}

// SentencePiece's kind is not cut by a pattern; cutting in front of ▁, where no token lies across, must not change an id.
TEST(Kinds, CuttingInFrontOfSpacesChangesNoId) {
  std::mt19937_64 random(3);
  for (const KindJson& file : {kinds::llama2(), kinds::gemma()}) {
    const Tokenizer tokenizer = loaded(file);
    for (int round = 0; round < 2000; ++round) {
      std::string text = "▁";
      for (std::uint64_t i = random() % 40; i > 0; --i) text += std::string_view("the the  x")[random() % 10];
      KindIds whole;
      std::string marked = tokenizer.tables().rules().normalized(text);
      encode_piece(tokenizer.tables(), marked, whole);
      ASSERT_EQ(tokenizer.encode_ordinary(text), whole) << text;
    }
  }
}

TEST(Kinds, TheObstacleIsNamed) {
  const auto with = [](KindJson file, const char* pointer, KindJson value) {
    file[KindJson::json_pointer(pointer)] = std::move(value);
    return message_of<DataError>([&] { loaded(file); });
  };
  const KindJson bytes = kinds::qwen(), characters = kinds::llama2();
  EXPECT_EQ(with(bytes, "/normalizer", {{"type", "Lowercase"}}),
            "v: normalizer Lowercase is not implemented; implemented: NFC, Prepend, Replace of a string, a Sequence of them");
  EXPECT_EQ(with(bytes, "/normalizer", {{"type", "Replace"}, {"pattern", {{"Regex", "a"}}}, {"content", "b"}}),
            "v: normalizer Replace has the pattern {\"Regex\":\"a\"}; implemented: {\"String\": …}");
  EXPECT_EQ(with(bytes, "/pre_tokenizer", {{"type", "BertPreTokenizer"}}),
            "v: pre_tokenizer BertPreTokenizer is not implemented; implemented: ByteLevel, Split, Digits, Punctuation, Metaspace, a "
            "Sequence of them");
  EXPECT_EQ(with(bytes, "/pre_tokenizer/pretokenizers/0/behavior", "MergedWithNext"),
            "v: pre_tokenizer Split has behavior MergedWithNext with invert false; implemented: Isolated, and Removed with invert true");
  EXPECT_EQ(with(bytes, "/pre_tokenizer/pretokenizers/2", kinds::byte_level(true)),
            "v: pre_tokenizer ByteLevel follows ByteLevel, whose byte names it would cut; allowed: ByteLevel last");
  EXPECT_EQ(with(bytes, "/added_tokens/1/lstrip", true),
            "v: added token \"<think>\" has lstrip true; implemented: false where special is false");
  EXPECT_EQ(
      with(bytes, "/added_tokens/1/content", std::string(2000, 'a')),
      "v: added token '" + std::string(60, 'a') + "' has id 260 and 2000 bytes; allowed: an id from 0 to 16777215 and 1 to 1024 bytes");
  EXPECT_EQ(with(bytes, "/model/end_of_word_suffix", "</w>"), "v: model.end_of_word_suffix is \"</w>\"; allowed: none");
  EXPECT_EQ(with(characters, "/model/byte_fallback", false),
            "v: pre_tokenizer has no ByteLevel and model.byte_fallback is false: characters that the vocabulary lacks would be lost; "
            "implemented: "
            "one of the two");
  EXPECT_EQ(with(characters, "/model/ignore_merges", true),
            "v: model.ignore_merges is true where pre_tokenizer has no ByteLevel; implemented: false");
  EXPECT_EQ(with(characters, "/model/vocab/<0x0A>", 3), "v: the token <0x0A> of a byte is missing or has the id of another token (3)");
  EXPECT_EQ(with(kinds::metaspace(), "/pre_tokenizer/replacement", "_"),
            "v: pre_tokenizer Metaspace has the replacement '_'; implemented: ▁ (U+2581)");
}

TEST(Kinds, AnExpressionThatMeansDifferentThingsElsewhereIsRefused) {
  const auto with = [](const std::string& expression) {
    KindJson file = kinds::qwen();
    file["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = expression;
    return message_of<UsageError>([&] { loaded(file); });
  };
  for (const char* part : {"$", "^", "\\w", "\\b", "\\h", "\\Z", "\\1", "(*", "&& inside a class", "[ inside a class"}) {
    const std::string expression =
        std::string(part).ends_with("class") ? std::string("[a") + (part[0] == '[' ? "[" : "&&") + "b]" : std::string("a") + part;
    EXPECT_TRUE(contains(with(expression), std::string("has ") + part + ", which means different things")) << with(expression);
  }
  EXPECT_EQ(with("a("), "v: the expression 'a(' does not compile at character 2: missing closing parenthesis");
  EXPECT_EQ(with("a{2,1}"), "v: the expression 'a{2,1}' does not compile at character 5: numbers out of order in {} quantifier");
}

TEST(Kinds, AnExpressionThatNeverEndsIsStopped) {
  KindJson file = kinds::qwen();
  file["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = "(?:a+)+[cd]";
  const Tokenizer tokenizer = loaded(file);
  const std::string message = message_of<DataError>([&] { tokenizer.encode_ordinary(std::string(5000, 'a') + "b"); });
  EXPECT_TRUE(contains(message, "v: the expression '(?:a+)+[cd]' gives up at byte 0 of a text (")) << message;
}

TEST(Kinds, HostileFilesAreRefused) {
  const std::string good = kinds::llama2().dump();
  for (std::size_t length = 0; length + 1 < good.size(); length += 37)
    EXPECT_THROW(Tokenizer::parse(good.substr(0, length), "v"), DataError) << length;
  KindJson twice = kinds::gemma();
  twice["added_tokens"].push_back(kinds::added(2, "|", false));
  EXPECT_EQ(message_of<DataError>([&] { loaded(twice); }), "v: id 2 of added token '|' belongs to another token too");
  KindJson far = kinds::gemma();
  far["added_tokens"].push_back(kinds::added(1 << 24, "|", false));
  EXPECT_EQ(message_of<DataError>([&] { loaded(far); }), "v: id of '|' is 16777216; allowed: numbers from 0, without large gaps");
}

}  // namespace
}  // namespace longhaul::tokenizer
