#include "tokenizer/tiktoken_file.h"

#include <fmt/format.h>

#include <array>
#include <charconv>

#include "files/read.h"
#include "tokenizer/bpe_tables.h"
#include "tokenizer/pretokenizer.h"
#include "tokenizer/vocabulary_lines.h"
#include "units/error.h"

namespace longhaul::tokenizer {
namespace {

struct KnownFile {
  std::string_view name, sha256;
  Pattern pattern;
  std::vector<SpecialToken> specials;
};

const std::vector<KnownFile>& known_files() {
  static const std::vector<KnownFile> files = {
      {"r50k_base", "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930", Pattern::gpt2, {{"<|endoftext|>", 50256}}},
      {"p50k_base", "94b5ca7dff4d00767bc256fdd1b27e5b17361d7b8a5f968547f9f23eb70d2069", Pattern::gpt2, {{"<|endoftext|>", 50256}}},
      {"cl100k_base",
       "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
       Pattern::cl100k_base,
       {{"<|endoftext|>", 100257},
        {"<|fim_prefix|>", 100258},
        {"<|fim_middle|>", 100259},
        {"<|fim_suffix|>", 100260},
        {"<|endofprompt|>", 100276}}},
      {"o200k_base",
       "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
       PatternKind::o200k_base,
       {{"<|endoftext|>", 199999}, {"<|endofprompt|>", 200018}}},
  };
  return files;
}

// RFC 4648 §4 with its padding; nothing if `text` is anything else.
std::optional<std::string> decode_base64(std::string_view text) {
  static constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  if (text.empty() || text.size() % 4 != 0) return std::nullopt;
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  std::string bytes;
  std::uint32_t bits = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool pad = i >= text.size() - padding;
    const std::size_t digit = pad ? 0 : kDigits.find(text[i]);
    if (digit == std::string_view::npos) return std::nullopt;
    bits = bits << 6 | static_cast<std::uint32_t>(digit);
    if (i % 4 == 3) {
      for (const int shift : {16, 8, 0}) bytes += static_cast<char>(bits >> shift & 0xFF);
    }
  }
  bytes.resize(bytes.size() - padding);
  return bytes;
}

void choose_pattern(TokenizerParts& parts, std::string_view contents, const std::optional<Pattern>& pattern) {
  const std::string hash = files::sha256_hex(contents);
  for (const KnownFile& known : known_files()) {
    if (known.sha256 != hash) continue;
    if (pattern && *pattern != known.pattern) {
      throw UsageError(fmt::format("{}: this is {}, which goes with pattern {}, not {}", parts.origin, known.name,
                                   pattern_name(known.pattern), pattern_name(*pattern)));
    }
    parts.pattern = known.pattern;
    parts.specials = known.specials;
    return;
  }
  if (!pattern) {
    throw UsageError(
        fmt::format("{}: a rank file does not say how text is cut; name the pattern: --pattern {}", parts.origin, kPatternValues));
  }
  parts.pattern = *pattern;
  parts.specials = {{"<|endoftext|>", static_cast<std::int32_t>(parts.tokens.size())}};
}

}  // namespace

TokenizerParts parse_tiktoken(std::string_view contents, const std::string& name, const std::optional<Pattern>& pattern) {
  TokenizerParts parts;
  parts.origin = name;
  parts.merge_by_rank = parts.whole_piece_first = true;
  std::vector<std::pair<std::string, std::int32_t>> ranked;  // bytes, rank
  std::vector<std::int64_t> line_of_rank;
  std::int32_t largest = -1;
  std::vector<std::int64_t> lines;
  for_each_line(contents, [&](std::string_view line, std::int64_t number) {
    if (line.empty()) return;
    const std::size_t space = line.find(' ');
    std::optional<std::string> bytes = space == std::string_view::npos ? std::nullopt : decode_base64(line.substr(0, space));
    if (!bytes) {
      throw DataError(fmt::format("{}:{}: '{}' is no token; allowed: base64 of its bytes, a space, its rank", name, number, shown(line)));
    }
    std::int32_t rank = -1;
    const std::string_view digits = line.substr(space + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), rank);
    if (error != std::errc() || end != digits.data() + digits.size() || rank < 0 || rank >= kMaxVocabulary) {
      throw DataError(
          fmt::format("{}:{}: rank '{}'; allowed: a whole number from 0 to {}", name, number, shown(digits), kMaxVocabulary - 1));
    }
    largest = std::max(largest, rank);
    ranked.emplace_back(std::move(*bytes), rank);
    lines.push_back(number);
  });
  if (largest >= static_cast<std::int64_t>(ranked.size()) + kMaxFreeIds) {
    throw DataError(fmt::format("{}: {} tokens but a rank of {}; allowed: ranks without large gaps", name, ranked.size(), largest));
  }
  parts.tokens.resize(static_cast<std::size_t>(largest) + 1);
  line_of_rank.resize(parts.tokens.size());
  for (std::size_t i = 0; i < ranked.size(); ++i) {
    const auto rank = static_cast<std::size_t>(ranked[i].second);
    if (line_of_rank[rank] != 0) {
      throw DataError(fmt::format("{}:{}: rank {} was given in line {} already", name, lines[i], rank, line_of_rank[rank]));
    }
    parts.tokens[rank] = std::move(ranked[i].first);
    line_of_rank[rank] = lines[i];
  }
  choose_pattern(parts, contents, pattern);
  return parts;
}

}  // namespace longhaul::tokenizer
