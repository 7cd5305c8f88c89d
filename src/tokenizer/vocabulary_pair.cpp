#include "tokenizer/vocabulary_pair.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <unordered_map>

#include "files/read.h"
#include "tokenizer/bpe_tables.h"
#include "tokenizer/byte_level.h"
#include "tokenizer/hf_text.h"
#include "tokenizer/vocabulary_lines.h"
#include "units/error.h"

namespace longhaul::tokenizer {
namespace {

constexpr std::string_view kGpt2MergesSha256 = "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5";

struct PairNames {
  std::string_view vocabulary, merges;
};
constexpr PairNames kPairNames[] = {{"vocab.json", "merges.txt"}, {"encoder.json", "vocab.bpe"}};

// A line `left right`, as bytes.
std::pair<std::string, std::string> parse_merge(std::string_view line, const std::string& where) {
  const std::size_t space = line.find(' ');
  if (space != std::string_view::npos && line.find(' ', space + 1) == std::string_view::npos) {
    std::optional<std::string> left = from_byte_level(line.substr(0, space)), right = from_byte_level(line.substr(space + 1));
    if (left && right && !left->empty() && !right->empty()) return {std::move(*left), std::move(*right)};
  }
  throw DataError(fmt::format("{}: '{}' is no merge; allowed: two tokens in GPT-2's byte names and one space between", where, shown(line)));
}

// The vocabulary's ids by the bytes of the token; entries that are not in byte names are special at once.
struct PairVocabulary {
  std::unordered_map<std::string, std::int32_t> ids;
  std::vector<SpecialToken> specials;
  std::int32_t size = 0;
};

PairVocabulary read_vocabulary_json(std::string_view contents, const std::string& name) {
  const nlohmann::json root = nlohmann::json::parse(contents, nullptr, false);
  if (!root.is_object()) throw DataError(name + ": not a JSON object of tokens and their ids");
  PairVocabulary vocabulary;
  std::vector<char> seen(root.size() + kMaxFreeIds);
  for (const auto& [text, value] : root.items()) {
    const std::int64_t id = value.is_number_integer() ? value.get<std::int64_t>() : -1;
    if (id < 0 || id >= static_cast<std::int64_t>(seen.size()) || id >= kMaxVocabulary) {
      throw DataError(fmt::format("{}: id of '{}' is {}; allowed: numbers from 0, without large gaps", name, text, shown_json(value)));
    }
    if (seen[static_cast<std::size_t>(id)] != 0)
      throw DataError(fmt::format("{}: id {} belongs to '{}' and to another token", name, id, text));
    seen[static_cast<std::size_t>(id)] = 1;
    vocabulary.size = std::max(vocabulary.size, static_cast<std::int32_t>(id) + 1);
    std::optional<std::string> bytes = from_byte_level(text);
    if (bytes && !bytes->empty()) {
      vocabulary.ids.emplace(std::move(*bytes), static_cast<std::int32_t>(id));
    } else {
      vocabulary.specials.push_back({text, static_cast<std::int32_t>(id)});
    }
  }
  return vocabulary;
}

}  // namespace

PairFile pair_file(std::string_view contents, const std::string& name) {
  if (contents.starts_with("#version")) return PairFile::merges;
  const std::size_t first = contents.find_first_not_of(" \t\r\n");
  if (first != std::string_view::npos && contents[first] == '{') {
    // Only what lies at the beginning is looked at: a tokenizer.json begins with its version or another of its few keys.
    const std::size_t quote = contents.find_first_not_of(" \t\r\n", first + 1);
    if (quote == std::string_view::npos || contents[quote] != '"') return PairFile::none;
    const std::string_view key = contents.substr(quote + 1, contents.find('"', quote + 1) - quote - 1);
    for (const std::string_view known :
         {"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder", "model"}) {
      if (key == known) {
        const std::size_t colon = contents.find_first_not_of(" \t\r\n:", quote + key.size() + 2);
        const bool number = colon != std::string_view::npos && contents[colon] >= '0' && contents[colon] <= '9';
        return number ? PairFile::vocabulary : PairFile::none;  // "version" may be a token
      }
    }
    return PairFile::vocabulary;
  }
  return name.ends_with("merges.txt") || name.ends_with(".bpe") ? PairFile::merges : PairFile::none;
}

std::filesystem::path other_of_pair(const std::filesystem::path& file, PairFile kind) {
  const std::string name = file.filename().string();
  std::string tried;
  const auto existing = [&](const std::string& other) {
    tried += (tried.empty() ? "" : ", ") + other;
    return std::filesystem::exists(file.parent_path() / other);
  };
  for (const PairNames& names : kPairNames) {  // X-merges.txt has its own X-vocab.json
    const std::string_view mine = kind == PairFile::merges ? names.merges : names.vocabulary;
    const std::string_view other = kind == PairFile::merges ? names.vocabulary : names.merges;
    if (!name.ends_with(mine)) continue;
    const std::string candidate = name.substr(0, name.size() - mine.size()) + std::string(other);
    if (existing(candidate)) return file.parent_path() / candidate;
  }
  for (const PairNames& names : kPairNames) {
    const std::string candidate(kind == PairFile::merges ? names.vocabulary : names.merges);
    if (tried.find(candidate) == std::string::npos && existing(candidate)) return file.parent_path() / candidate;
  }
  if (kind == PairFile::merges) {
    throw DataError(
        fmt::format("{}: a list of merges does not say which id a token has: that is in its vocab.json, and none lies beside it "
                    "(looked for {}); allowed: both files in one folder, or a tokenizer.json",
                    file.string(), tried));
  }
  throw DataError(
      fmt::format("{}: a vocabulary does not say how its tokens are merged: that is in its merges.txt, and none lies beside it "
                  "(looked for {}); allowed: both files in one folder, or a tokenizer.json",
                  file.string(), tried));
}

void require_gpt2_class(const std::filesystem::path& file) {
  constexpr std::uint64_t kMaxConfigBytes = 16 << 20;
  const std::filesystem::path config = file.parent_path() / "tokenizer_config.json";
  if (!std::filesystem::exists(config)) return;
  const nlohmann::json root = nlohmann::json::parse(files::read_file(config, kMaxConfigBytes), nullptr, false);
  const std::string name = text_under(root, "tokenizer_class");
  for (const std::string_view known :
       {"", "GPT2Tokenizer", "RobertaTokenizer", "BartTokenizer", "LongformerTokenizer", "PreTrainedTokenizer"}) {
    if (name == known || name == std::string(known) + "Fast") return;
  }
  throw DataError(
      fmt::format("{}: {} beside it names the class {}, which may cut text otherwise than GPT-2; allowed: its tokenizer.json, or "
                  "--pattern and the name of its pattern",
                  file.string(), config.filename().string(), shown(name)));
}

TokenizerParts parse_vocabulary_pair(std::string_view vocabulary_text, const std::string& vocabulary_name, std::string_view merges,
                                     const std::string& merges_name, const std::optional<Pattern>& pattern) {
  PairVocabulary vocabulary = read_vocabulary_json(vocabulary_text, vocabulary_name);
  TokenizerParts parts;
  parts.origin = vocabulary_name;
  parts.pattern = pattern.value_or(Pattern::gpt2);
  parts.specials = std::move(vocabulary.specials);
  parts.tokens.resize(static_cast<std::size_t>(vocabulary.size));
  std::vector<char> made(parts.tokens.size());
  for_each_line(merges, [&](std::string_view line, std::int64_t number) {
    if (line.empty() || (number == 1 && line.starts_with("#version"))) return;
    const std::string where = fmt::format("{}:{}", merges_name, number);
    const auto [left, right] = parse_merge(line, where);
    const auto id_of = [&](const std::string& bytes) {
      const auto found = vocabulary.ids.find(bytes);
      if (found != vocabulary.ids.end()) return found->second;
      throw DataError(
          fmt::format("{}: '{}' needs the token '{}', which {} does not have", where, shown(line), to_byte_level(bytes), vocabulary_name));
    };
    parts.merges.push_back({id_of(left), id_of(right), id_of(left + right)});
    made[static_cast<std::size_t>(parts.merges.back().merged)] = 1;
  });
  for (const auto& [bytes, id] : vocabulary.ids) {
    if (bytes.size() == 1 || made[static_cast<std::size_t>(id)] != 0) {
      parts.tokens[static_cast<std::size_t>(id)] = bytes;
    } else {
      parts.specials.push_back({to_byte_level(bytes), id});
    }
  }
  return parts;
}

bool is_gpt2_merges(std::string_view contents) { return files::sha256_hex(contents) == kGpt2MergesSha256; }

TokenizerParts parse_known_merges(std::string_view contents, const std::string& name, const std::optional<Pattern>& pattern) {
  if (!is_gpt2_merges(contents)) {
    throw DataError(name +
                    ": a list of merges does not say which id a token has: that is in its vocab.json; allowed: both files in one "
                    "folder, a tokenizer.json, or GPT-2's own vocab.bpe");
  }
  if (pattern && *pattern != Pattern::gpt2) throw UsageError(name + ": this is GPT-2's vocab.bpe, which goes with pattern gpt2");
  return parse_gpt2_merges(contents, name);
}

TokenizerParts parse_gpt2_merges(std::string_view contents, const std::string& name) {
  TokenizerParts parts;
  parts.origin = name;
  std::unordered_map<std::string, std::int32_t> ids;
  for (const char byte : byte_level_order()) {
    ids.emplace(std::string(1, byte), static_cast<std::int32_t>(parts.tokens.size()));
    parts.tokens.emplace_back(1, byte);
  }
  for_each_line(contents, [&](std::string_view line, std::int64_t number) {
    if (number == 1 || line.empty()) return;  // the version
    const std::string where = fmt::format("{}:{}", name, number);
    auto [left, right] = parse_merge(line, where);
    const auto left_id = ids.find(left), right_id = ids.find(right);
    if (left_id == ids.end() || right_id == ids.end()) {
      throw DataError(fmt::format("{}: '{}' merges a token that no line before makes", where, shown(line)));
    }
    const auto merged = static_cast<std::int32_t>(parts.tokens.size());
    parts.merges.push_back({left_id->second, right_id->second, merged});
    if (!ids.emplace(left + right, merged).second) throw DataError(fmt::format("{}: '{}' makes a token twice", where, shown(line)));
    parts.tokens.push_back(left + right);
  });
  parts.specials = {{"<|endoftext|>", static_cast<std::int32_t>(parts.tokens.size())}};
  return parts;
}

}  // namespace longhaul::tokenizer
