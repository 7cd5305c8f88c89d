#include "tokenizer/tokenizer.h"

#include <fmt/format.h>

#include "files/disk.h"
#include "files/read.h"
#include "tokenizer/bpe_tables.h"
#include "tokenizer/hf_tokenizer_json.h"
#include "tokenizer/sentencepiece_model.h"
#include "tokenizer/tiktoken_file.h"
#include "tokenizer/vocabulary_pair.h"
#include "units/error.h"

namespace longhaul::tokenizer {
namespace {

// The largest tokenizer.json in use (a vocabulary of 262,144) has 33 MB; 16 MiB, the limit for JSON elsewhere, would refuse it.
constexpr std::uint64_t kMaxFileBytes = 64 << 20;

std::string read_vocabulary_file(const std::filesystem::path& file) {
  try {
    return files::read_file(file, kMaxFileBytes);
  } catch (const Error& error) {
    throw DataError(fmt::format("tokenizer: {}", error.what()));  // a vocabulary that is not there is damage, not a failed operation
  }
}

}  // namespace

Tokenizer::Tokenizer(TokenizerParts parts) : tables_(std::make_shared<const BpeTables>(std::move(parts))) {}

Tokenizer Tokenizer::load(const std::filesystem::path& file, const std::optional<Pattern>& pattern) {
  const std::string contents = read_vocabulary_file(file);
  const PairFile kind = is_sentencepiece_model(contents) ? PairFile::none : pair_file(contents, file.string());
  if (kind == PairFile::none) return parse(contents, file.string(), pattern);
  if (kind == PairFile::merges && is_gpt2_merges(contents)) return parse(contents, file.string(), pattern);
  const std::filesystem::path other = other_of_pair(file, kind);
  if (!pattern) require_gpt2_class(file);
  const std::string other_contents = read_vocabulary_file(other);
  if (kind == PairFile::merges) return Tokenizer(parse_vocabulary_pair(other_contents, other.string(), contents, file.string(), pattern));
  return Tokenizer(parse_vocabulary_pair(contents, file.string(), other_contents, other.string(), pattern));
}

Tokenizer Tokenizer::parse(std::string_view contents, const std::string& name, const std::optional<Pattern>& pattern) {
  if (is_sentencepiece_model(contents)) {
    if (pattern) throw UsageError(name + ": a SentencePiece model cuts text by no pattern; leave it away");
    return Tokenizer(parse_sentencepiece_model(contents, name));
  }
  const std::size_t first = contents.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) {
    throw DataError(name + ": empty; allowed: a tokenizer.json, a tiktoken rank file, vocab.json and merges.txt, or a SentencePiece model");
  }
  const PairFile kind = pair_file(contents, name);
  if (kind == PairFile::merges) return Tokenizer(parse_known_merges(contents, name, pattern));
  if (kind == PairFile::vocabulary)
    throw DataError(name + ": a vocabulary without its merges.txt; allowed: a file that lies beside it, or a tokenizer.json");
  if (contents[first] == '{') return Tokenizer(parse_tokenizer_json(contents, name, pattern));
  return Tokenizer(parse_tiktoken(contents, name, pattern));
}

void Tokenizer::save(const std::filesystem::path& file) const { files::write_file_atomically(files::Disk(), file, to_json()); }

std::string Tokenizer::to_json() const { return write_tokenizer_json(*tables_); }

std::vector<std::int32_t> Tokenizer::encode_ordinary(std::string_view text) const {
  std::vector<std::int32_t> ids;
  Encoder(*this).encode_into(text, ids);
  return ids;
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, bool goes_on) const {
  std::string bytes;
  for (const std::int32_t id : ids) {
    if (id < 0 || id >= vocab_size() || token_bytes(id).empty()) {
      throw DataError(fmt::format("token id {} does not exist in {}; allowed: 0 to {}", id, tables_->origin(), vocab_size() - 1));
    }
    bytes += token_bytes(id);
  }
  if (!goes_on && tables_->rules().adds_a_space() && bytes.starts_with(' ')) bytes.erase(0, 1);
  return bytes;
}

std::string_view Tokenizer::token_bytes(std::int32_t id) const { return tables_->token_bytes(id); }
std::int32_t Tokenizer::vocab_size() const { return tables_->vocab_size(); }
const std::string& Tokenizer::fingerprint() const { return tables_->fingerprint(); }

Framing Tokenizer::framing() const {
  if (tables_->framing().end == kNoId)
    throw DataError(
        fmt::format("{}: no special token that is known to end a text (<|endoftext|>, <|end_of_text|>, </s>, <eos>); name it "
                    "with --end, and --begin TOKEN or none; {}",
                    tables_->origin(), special_tokens()));
  return tables_->framing();
}

Framing Tokenizer::framing(const std::optional<std::string>& begin, const std::optional<std::string>& end) const {
  const auto id_of = [&](const char* option, const std::string& text) {
    const std::int32_t id = tables_->special_id(text);
    if (id == kNoId)
      throw UsageError(fmt::format("{} {}: no such special token in {}; {}", option, text, tables_->origin(), special_tokens()));
    return id;
  };
  Framing framing = end ? tables_->framing() : this->framing();
  const bool was_shared = framing.shared();
  if (end) framing.end = id_of("--end", *end);
  if (begin) framing.begin = *begin == "none" ? Framing::kNone : id_of("--begin", *begin);
  if (end && !begin && was_shared) framing.begin = framing.end;  // one token stays one token
  return framing;
}

/// For messages.
std::string Tokenizer::special_tokens() const {
  constexpr std::size_t kShown = 20;
  const std::vector<SpecialToken>& specials = tables_->specials();
  std::string text = specials.empty() ? "it has no special tokens" : "its special tokens:";
  for (std::size_t i = 0; i < std::min(kShown, specials.size()); ++i) text += " " + specials[i].text;
  if (specials.size() > kShown) text += fmt::format(" and {} more", specials.size() - kShown);
  return text;
}

}  // namespace longhaul::tokenizer
