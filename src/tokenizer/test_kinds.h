// tokenizer/test_kinds.h — small vocabularies of each published kind, as their tokenizer.json, for tests.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tokenizer/byte_level.h"
#include "tokenizer/pretokenizer.h"

namespace longhaul::tokenizer::kinds {

using KindJson = nlohmann::ordered_json;

inline KindJson added(int id, const std::string& text, bool special, bool normalized = false) {
  return {{"id", id},        {"content", text},          {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", normalized}, {"special", special}};
}

/// 256 bytes, then one token a merge ("left right" in byte names), then <|endoftext|>.
inline KindJson bytes(const KindJson& normalizer, const KindJson& pre_tokenizer, const std::vector<std::string>& merges) {
  KindJson vocabulary = KindJson::object();
  int id = 0;
  for (const char byte : byte_level_order()) vocabulary[to_byte_level({&byte, 1})] = id++;
  for (std::string merge : merges) vocabulary[merge.erase(merge.find(' '), 1)] = id++;
  return {{"version", "1.0"},
          {"added_tokens", KindJson::array({added(id, "<|endoftext|>", true)})},
          {"normalizer", normalizer},
          {"pre_tokenizer", pre_tokenizer},
          {"model",
           {{"type", "BPE"},
            {"dropout", nullptr},
            {"unk_token", nullptr},
            {"byte_fallback", false},
            {"vocab", vocabulary},
            {"merges", merges}}}};
}

/// <unk>, <s>, </s>, 256 tokens of bytes, the characters of `letters`, then one token a merge.
inline KindJson characters(const KindJson& normalizer, const KindJson& pre_tokenizer, const std::vector<std::string>& letters,
                           const std::vector<std::string>& merges) {
  KindJson vocabulary = {{"<unk>", 0}, {"<s>", 1}, {"</s>", 2}};
  int id = 3;
  for (int byte = 0; byte < 256; ++byte) {
    static constexpr const char* kHex = "0123456789ABCDEF";
    vocabulary[std::string("<0x") + kHex[byte / 16] + kHex[byte % 16] + ">"] = id++;
  }
  for (const std::string& letter : letters) vocabulary[letter] = id++;
  for (std::string merge : merges) vocabulary[merge.erase(merge.find(' '), 1)] = id++;
  return {{"version", "1.0"},
          {"added_tokens", KindJson::array({added(0, "<unk>", true), added(1, "<s>", true), added(2, "</s>", true)})},
          {"normalizer", normalizer},
          {"pre_tokenizer", pre_tokenizer},
          {"model",
           {{"type", "BPE"},
            {"dropout", nullptr},
            {"unk_token", "<unk>"},
            {"fuse_unk", true},
            {"byte_fallback", true},
            {"vocab", vocabulary},
            {"merges", merges}}}};
}

inline KindJson byte_level(bool use_regex, bool prefix_space = false) {
  return {{"type", "ByteLevel"}, {"add_prefix_space", prefix_space}, {"trim_offsets", true}, {"use_regex", use_regex}};
}

inline KindJson splits(const Pattern& pattern) {
  KindJson steps = KindJson::array();
  for (const CutStep& step : pattern.steps()) {
    steps.push_back({{"type", "Split"}, {"pattern", {{"Regex", step.expression}}}, {"behavior", "Isolated"}, {"invert", false}});
  }
  steps.push_back(byte_level(false));
  return {{"type", "Sequence"}, {"pretokenizers", steps}};
}

inline KindJson space_to_metaspace() { return {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "▁"}}; }

inline KindJson gpt2() { return bytes(nullptr, byte_level(true), {"t h", "th e", "Ġ the"}); }
inline KindJson prefixed() { return bytes(nullptr, byte_level(true, true), {"t h", "th e", "Ġ the"}); }
inline KindJson o200k() { return bytes(nullptr, splits(PatternKind::o200k_base), {"t h", "th e", "e T", "1 2", "12 3", "123 4"}); }
inline KindJson tekken() { return bytes(nullptr, splits(PatternKind::tekken), {"t h", "th e", "1 2", "' s"}); }
inline KindJson deepseek() {
  return bytes({{"type", "Sequence"}, {"normalizers", KindJson::array()}}, splits(PatternKind::deepseek_v3),
               {"t h", "1 2", "12 3", "123 4", "a 1"});
}
inline KindJson qwen() {
  KindJson file = bytes({{"type", "NFC"}}, splits(PatternKind::qwen2), {"Ã ©", "1 2", "t h"});
  file["added_tokens"].push_back(added(260, "<think>", false));
  return file;
}
inline KindJson llama2() {
  const KindJson prepend = {{"type", "Prepend"}, {"prepend", "▁"}};
  return characters({{"type", "Sequence"}, {"normalizers", KindJson::array({prepend, space_to_metaspace()})}}, nullptr,
                    {"▁", "t", "h", "e", "a"}, {"t h", "▁ th", "▁th e", "▁ ▁"});
}
inline KindJson gemma() {
  const KindJson split = {{"type", "Split"}, {"pattern", {{"String", " "}}}, {"behavior", "MergedWithPrevious"}, {"invert", false}};
  KindJson file = characters(space_to_metaspace(), split, {"▁", "t", "h", "e", "\n"}, {"t h", "▁ th", "▁ ▁", "\n \n"});
  file["model"]["merges"] = KindJson::array({{"t", "h"}, {"▁", "th"}, {"▁", "▁"}, {"\n", "\n"}});
  file["added_tokens"].push_back(added(file["model"]["vocab"]["\n\n"], "\n\n", false));
  return file;
}
inline KindJson metaspace() {
  const KindJson step = {{"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", "first"}, {"split", false}};
  return characters(nullptr, step, {"▁", "t", "h", "e"}, {"t h", "▁ th"});
}

struct Kind {
  const char* name;
  KindJson file;
};
inline std::vector<Kind> all() {
  return {{"gpt2", gpt2()}, {"prefixed", prefixed()}, {"o200k", o200k()}, {"tekken", tekken()},      {"deepseek", deepseek()},
          {"qwen", qwen()}, {"llama2", llama2()},     {"gemma", gemma()}, {"metaspace", metaspace()}};
}

}  // namespace longhaul::tokenizer::kinds
