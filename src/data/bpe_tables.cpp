#include "data/bpe_tables.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <span>
#include <unordered_set>

#include "data/byte_level.h"
#include "data/pretokenizer.h"
#include "files/read.h"
#include "units/error.h"

namespace longhaul::data {
namespace {

// At most half full, so that a search for what is not there ends soon.
std::size_t slots_for(std::size_t entries) { return std::bit_ceil(std::max<std::size_t>(2 * entries, 16)); }

// Splitting a token costs the square of its length; the longest of o200k_base has 128 bytes.
constexpr std::size_t kMaxRankedTokenBytes = 1024;

std::uint64_t hash_of(std::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

void add_number(files::Sha256& hash, std::uint64_t value) {
  std::array<char, 8> bytes{};  // little-endian whatever the machine
  for (char& byte : bytes) byte = static_cast<char>(value & 0xFF), value >>= 8;
  hash.update(std::as_bytes(std::span(bytes)));
}

void add_text(files::Sha256& hash, std::string_view text) {
  add_number(hash, text.size());
  hash.update(std::as_bytes(std::span(text)));
}

}  // namespace

BpeTables::BpeTables(TokenizerParts parts)
    : pattern_(parts.pattern),
      whole_piece_first_(parts.whole_piece_first),
      specials_(std::move(parts.specials)),
      merges_(std::move(parts.merges)),
      origin_(std::move(parts.origin)) {
  std::sort(specials_.begin(), specials_.end(), [](const SpecialToken& a, const SpecialToken& b) { return a.id < b.id; });
  for (const SpecialToken& special : specials_) {
    if (special.id < 0 || special.id >= kMaxVocabulary || special.text.empty()) {
      throw DataError(fmt::format("{}: special token '{}' has id {}; allowed: a text and an id from 0 to {}", origin_, special.text,
                                  special.id, kMaxVocabulary - 1));
    }
  }
  if (parts.tokens.size() > static_cast<std::size_t>(kMaxVocabulary)) {
    throw DataError(fmt::format("{}: {} tokens; allowed: at most {}", origin_, parts.tokens.size(), kMaxVocabulary));
  }
  const std::size_t size = specials_.empty() ? 0 : static_cast<std::size_t>(specials_.back().id) + 1;
  parts.tokens.resize(std::max(size, parts.tokens.size()));
  check_specials(parts.tokens);
  index_tokens(parts.tokens);
  lay_out_bytes(parts.tokens);
  check_special_texts();
  if (parts.merge_by_rank) {
    merges_from_ranks();
  } else {
    check_merges();
  }
  index_merges(parts.merge_by_rank);
  choose_framing();
  compute_fingerprint();
}

void BpeTables::check_specials(const std::vector<std::string>& tokens) const {
  for (std::size_t i = 0; i < specials_.size(); ++i) {
    const SpecialToken& special = specials_[i];
    if (!tokens[static_cast<std::size_t>(special.id)].empty() || (i > 0 && specials_[i - 1].id == special.id)) {
      throw DataError(fmt::format("{}: id {} of special token '{}' belongs to another token too", origin_, special.id, special.text));
    }
  }
}

// tokenizer.json holds both kinds under their printable forms in one object: equal ones could not be told apart.
void BpeTables::check_special_texts() const {
  std::unordered_set<std::string_view> texts;
  for (const SpecialToken& special : specials_) {
    const std::optional<std::string> bytes = from_byte_level(special.text);
    if (texts.insert(special.text).second && (!bytes || find(*bytes) == kNoId)) continue;
    throw DataError(fmt::format("{}: special token '{}' is also the text of another token", origin_, special.text));
  }
}

void BpeTables::index_tokens(const std::vector<std::string>& tokens) {
  byte_ids_.fill(kNoId);
  token_slots_.resize(slots_for(tokens.size()));
  for (std::size_t id = 0; id < tokens.size(); ++id) {
    const std::string& token = tokens[id];
    if (token.empty()) continue;
    if (token.size() == 1) {
      std::int32_t& byte_id = byte_ids_[static_cast<unsigned char>(token[0])];
      if (byte_id == kNoId) byte_id = static_cast<std::int32_t>(id);
    }
    const std::uint64_t hash = hash_of(token);
    std::size_t slot = hash & (token_slots_.size() - 1);
    for (; token_slots_[slot].id != kNoId; slot = (slot + 1) & (token_slots_.size() - 1)) {
      const auto other = static_cast<std::size_t>(token_slots_[slot].id);
      if (tokens[other] == token) throw DataError(fmt::format("{}: ids {} and {} are the same bytes", origin_, other, id));
    }
    token_slots_[slot] = {static_cast<std::uint32_t>(hash >> 32), static_cast<std::int32_t>(id)};
  }
  for (unsigned byte = 0; byte < 256; ++byte) {
    if (byte_ids_[byte] != kNoId) continue;
    throw DataError(fmt::format("{}: byte 0x{:02X} has no token; a byte-level vocabulary holds all 256", origin_, byte));
  }
}

void BpeTables::lay_out_bytes(const std::vector<std::string>& tokens) {
  std::vector<const std::string*> texts(tokens.size());
  for (std::size_t id = 0; id < tokens.size(); ++id) texts[id] = &tokens[id];
  for (const SpecialToken& special : specials_) texts[static_cast<std::size_t>(special.id)] = &special.text;
  offsets_.reserve(tokens.size() + 1);
  offsets_.push_back(0);
  for (const std::string* text : texts) {
    bytes_ += *text;
    if (bytes_.size() > UINT32_MAX) throw DataError(fmt::format("{}: tokens of more than 4 GiB together", origin_));
    offsets_.push_back(static_cast<std::uint32_t>(bytes_.size()));
  }
}

void BpeTables::check_merges() const {
  for (std::size_t rank = 0; rank < merges_.size(); ++rank) {
    const Merge& merge = merges_[rank];
    const auto is_token = [&](std::int32_t id) { return id >= 0 && id < vocab_size() && !token_bytes(id).empty() && !is_special(id); };
    if (!is_token(merge.left) || !is_token(merge.right) || !is_token(merge.merged)) {
      throw DataError(
          fmt::format("{}: merge {} ({} + {} -> {}) uses an id that is no token", origin_, rank, merge.left, merge.right, merge.merged));
    }
    const std::string_view left = token_bytes(merge.left), right = token_bytes(merge.right), merged = token_bytes(merge.merged);
    if (left.size() + right.size() != merged.size() || !merged.starts_with(left) || !merged.ends_with(right)) {
      throw DataError(fmt::format("{}: merge {} ({} + {} -> {}) does not give the bytes of token {}", origin_, rank, merge.left,
                                  merge.right, merge.merged, merge.merged));
    }
  }
}

void BpeTables::merges_from_ranks() {
  merges_.clear();
  for (std::int32_t id = 0; id < vocab_size(); ++id) {
    if (is_special(id)) continue;
    const std::string_view bytes = token_bytes(id);
    if (bytes.size() > kMaxRankedTokenBytes) {
      throw DataError(fmt::format("{}: token {} has {} bytes; allowed: at most {}", origin_, id, bytes.size(), kMaxRankedTokenBytes));
    }
    const std::size_t first = merges_.size();
    for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
      const std::int32_t left = find(bytes.substr(0, cut)), right = left == kNoId ? kNoId : find(bytes.substr(cut));
      if (right != kNoId) merges_.push_back({left, right, id});
    }
    // Ties inside one token in the order in which transformers' converter writes them.
    std::sort(merges_.begin() + static_cast<std::ptrdiff_t>(first), merges_.end(),
              [](const Merge& a, const Merge& b) { return std::pair(a.left, a.right) < std::pair(b.left, b.right); });
  }
}

void BpeTables::index_merges(bool rank_is_id) {
  pair_slots_.resize(slots_for(merges_.size()));
  pair_shift_ = 64 - std::countr_zero(pair_slots_.size());
  for (std::size_t rank = 0; rank < merges_.size(); ++rank) {
    const Merge& merge = merges_[rank];
    std::size_t slot = pair_slot(merge.left, merge.right);
    for (; pair_slots_[slot].left != kNoId; slot = (slot + 1) & (pair_slots_.size() - 1)) {
      if (pair_slots_[slot].left == merge.left && pair_slots_[slot].right == merge.right) {
        throw DataError(fmt::format("{}: merge {} ({} + {}) is there twice", origin_, rank, merge.left, merge.right));
      }
    }
    const auto priority = rank_is_id ? static_cast<std::uint32_t>(merge.merged) : static_cast<std::uint32_t>(rank);
    pair_slots_[slot] = {merge.left, merge.right, {priority, merge.merged}};
  }
}

std::int32_t BpeTables::special_id(std::string_view text) const {
  const auto found = std::find_if(specials_.begin(), specials_.end(), [&](const SpecialToken& special) { return special.text == text; });
  return found == specials_.end() ? kNoId : found->id;
}

/// By the names that published tokenizers give their special tokens: GPT-2 and Qwen have one for both ends, Llama 3, Llama 2 and Mistral,
/// Gemma and DeepSeek two.
void BpeTables::choose_framing() {
  struct Names {
    std::string_view begin, end;
  };
  constexpr std::array<Names, 5> kNames = {{{"<|endoftext|>", "<|endoftext|>"},
                                            {"<|begin_of_text|>", "<|end_of_text|>"},
                                            {"<s>", "</s>"},
                                            {"<bos>", "<eos>"},
                                            {"<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"}}};
  for (const Names& names : kNames) {
    const std::int32_t begin = special_id(names.begin), end = special_id(names.end);
    if (end == kNoId) continue;
    framing_ = {begin == kNoId ? end : begin, end};  // an end alone serves as both
    return;
  }
}

// Each part with its length in front, so that no two vocabularies write the same bytes.
void BpeTables::compute_fingerprint() {
  files::Sha256 hash;
  add_text(hash, "longhaul tokenizer 1");
  add_text(hash, pattern_name(pattern_));
  add_number(hash, static_cast<std::uint64_t>(vocab_size()));
  for (std::int32_t id = 0; id < vocab_size(); ++id) {
    add_number(hash, is_special(id) ? 1 : 0);
    add_text(hash, token_bytes(id));
  }
  fingerprint_ = hash.finish_hex();
}

std::int32_t BpeTables::find(std::string_view bytes) const {
  const std::uint64_t hash = hash_of(bytes);
  for (std::size_t i = hash & (token_slots_.size() - 1);; i = (i + 1) & (token_slots_.size() - 1)) {
    const TokenSlot& slot = token_slots_[i];
    if (slot.id == kNoId) return kNoId;
    if (slot.tag == static_cast<std::uint32_t>(hash >> 32) && token_bytes(slot.id) == bytes) return slot.id;
  }
}

std::string_view BpeTables::token_bytes(std::int32_t id) const {
  const auto i = static_cast<std::size_t>(id);
  return std::string_view(bytes_).substr(offsets_[i], offsets_[i + 1] - offsets_[i]);
}

bool BpeTables::is_special(std::int32_t id) const {
  const auto at = std::lower_bound(specials_.begin(), specials_.end(), id, [](const SpecialToken& s, std::int32_t i) { return s.id < i; });
  return at != specials_.end() && at->id == id;
}

}  // namespace longhaul::data
