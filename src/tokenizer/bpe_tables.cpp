#include "tokenizer/bpe_tables.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <numeric>
#include <span>
#include <unordered_set>

#include "files/read.h"
#include "tokenizer/byte_level.h"
#include "tokenizer/category_scan.h"
#include "tokenizer/pretokenizer.h"
#include "units/error.h"
#include "units/utf8.h"

namespace longhaul::tokenizer {
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

std::string with_spaces(std::string_view text) {
  std::string result;
  for (std::size_t done = 0; done < text.size();) {
    const std::size_t found = std::min(text.find(kMetaspace, done), text.size());
    result += text.substr(done, found - done);
    if (found < text.size()) result += ' ';
    done = found < text.size() ? found + kMetaspace.size() : found;
  }
  return result;
}

}  // namespace

BpeTables::BpeTables(TokenizerParts parts)
    : pattern_(parts.pattern),
      units_(parts.units),
      rules_(std::move(parts.rules)),
      whole_piece_first_(parts.whole_piece_first),
      specials_(std::move(parts.specials)),
      added_(std::move(parts.added)),
      merges_(std::move(parts.merges)),
      origin_(std::move(parts.origin)) {
  std::ranges::sort(specials_, {}, &SpecialToken::id);
  std::ranges::sort(added_, {}, &AddedToken::id);
  for (const SpecialToken& special : specials_) {
    if (special.id < 0 || special.id >= kMaxVocabulary || special.text.empty()) {
      throw DataError(fmt::format("{}: special token '{}' has id {}; allowed: a text and an id from 0 to {}", origin_, special.text,
                                  special.id, kMaxVocabulary - 1));
    }
  }
  for (const AddedToken& added : added_) {
    if (added.id < 0 || added.id >= kMaxVocabulary || added.text.empty() || added.text.size() > kMaxAddedTokenBytes) {
      throw DataError(fmt::format("{}: added token '{}' has id {} and {} bytes; allowed: an id from 0 to {} and 1 to {} bytes", origin_,
                                  added.text.substr(0, 60), added.id, added.text.size(), kMaxVocabulary - 1, kMaxAddedTokenBytes));
    }
  }
  if (parts.tokens.size() > static_cast<std::size_t>(kMaxVocabulary)) {
    throw DataError(fmt::format("{}: {} tokens; allowed: at most {}", origin_, parts.tokens.size(), kMaxVocabulary));
  }
  const std::int32_t largest = std::max(specials_.empty() ? 0 : specials_.back().id + 1, added_.empty() ? 0 : added_.back().id + 1);
  parts.tokens.resize(std::max(static_cast<std::size_t>(largest), parts.tokens.size()));
  check_ids(parts);
  index_tokens(parts.tokens);
  if (units_ == Units::characters) std::ranges::copy(parts.byte_ids, byte_ids_.begin());
  lay_out(parts);
  check_special_texts();
  if (parts.merge_by_rank) {
    merges_from_ranks(std::move(parts.rank_order));
  } else {
    check_merges();
  }
  index_merges(parts.merge_by_rank);
  if (pattern_.kind() != PatternKind::whole && !scan::is_scanned(pattern_.kind())) {
    compiled_ = std::make_shared<const CompiledPattern>(pattern_, origin_);
  }
  prepare_search();
  if (units_ == Units::characters) note_before_metaspace();
  choose_framing();
  compute_fingerprint();
}

// No id belongs to two tokens; only an added token may be a token of the merges as well.
void BpeTables::check_ids(const TokenizerParts& parts) const {
  for (std::size_t i = 0; i < specials_.size(); ++i) {
    const SpecialToken& special = specials_[i];
    if (!parts.tokens[static_cast<std::size_t>(special.id)].empty() || (i > 0 && specials_[i - 1].id == special.id)) {
      throw DataError(fmt::format("{}: id {} of special token '{}' belongs to another token too", origin_, special.id, special.text));
    }
  }
  for (std::size_t i = 0; i < added_.size(); ++i) {
    if (is_special(added_[i].id) || (i > 0 && added_[i - 1].id == added_[i].id)) {
      throw DataError(fmt::format("{}: id {} of added token '{}' belongs to another token too", origin_, added_[i].id, added_[i].text));
    }
  }
  if (units_ == Units::bytes) return;
  if (parts.byte_ids.size() != 256)
    throw DataError(fmt::format("{}: {} tokens <0x00>… of a byte; allowed: 256", origin_, parts.byte_ids.size()));
  std::unordered_set<std::int32_t> seen;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const std::int32_t id = parts.byte_ids[byte];
    const bool in_range = id >= 0 && id < static_cast<std::int32_t>(parts.tokens.size());
    if (in_range && parts.tokens[static_cast<std::size_t>(id)].empty() && !is_special(id) && seen.insert(id).second) continue;
    throw DataError(fmt::format("{}: the token <0x{:02X}> of a byte is missing or has the id of another token ({})", origin_, byte, id));
  }
}

void BpeTables::prepare_search() {
  for (const SpecialToken& special : specials_) {
    if (special.text.size() > kMaxAddedTokenBytes) continue;  // it would only hide others
    (special.normalized ? added_in_normalized_ : added_in_text_)
        .add(special.normalized ? rules_.normalized(special.text) : special.text, kNoId);
  }
  for (const AddedToken& added : added_) {
    (added.normalized ? added_in_normalized_ : added_in_text_).add(added.normalized ? rules_.normalized(added.text) : added.text, added.id);
  }
}

void BpeTables::note_before_metaspace() {
  for (std::int32_t id = 0; id < vocab_size(); ++id) {
    const std::string_view text = token_text(id);
    if (is_special(id)) continue;
    char32_t before = 0;
    for (std::size_t offset = 0; offset < text.size();) {
      const bool metaspace = offset > 0 && text.substr(offset).starts_with(kMetaspace);
      if (metaspace) before_metaspace_.push_back(before);
      before = next_code_point(text, offset);
    }
  }
  std::ranges::sort(before_metaspace_);
  before_metaspace_.erase(std::unique(before_metaspace_.begin(), before_metaspace_.end()), before_metaspace_.end());
}

void BpeTables::cut_before_metaspace(std::string_view text, std::vector<Range>& parts) const {
  std::size_t begin = 0;
  for (std::size_t at = text.find(kMetaspace, 1); at < text.size(); at = text.find(kMetaspace, at + kMetaspace.size())) {
    std::size_t before = at - 1;
    while ((static_cast<unsigned char>(text[before]) & 0xC0) == 0x80) --before;
    if (std::ranges::binary_search(before_metaspace_, next_code_point(text, before))) continue;
    parts.push_back({begin, at});
    begin = at;
  }
  if (begin < text.size()) parts.push_back({begin, text.size()});
}

// tokenizer.json holds all kinds under their printable forms in one object: equal ones could not be told apart.
void BpeTables::check_special_texts() const {
  std::unordered_set<std::string_view> texts;
  for (const SpecialToken& special : specials_) {
    const std::optional<std::string> bytes = units_ == Units::bytes ? from_byte_level(special.text) : special.text;
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
  for (unsigned byte = 0; byte < 256 && units_ == Units::bytes; ++byte) {
    if (byte_ids_[byte] != kNoId) continue;
    throw DataError(fmt::format("{}: byte 0x{:02X} has no token; a byte-level vocabulary holds all 256", origin_, byte));
  }
}

void BpeTables::lay_out(const TokenizerParts& parts) {
  std::vector<std::string_view> texts(parts.tokens.begin(), parts.tokens.end());
  for (const SpecialToken& special : specials_) texts[static_cast<std::size_t>(special.id)] = special.text;
  for (const AddedToken& added : added_) {
    std::string_view& text = texts[static_cast<std::size_t>(added.id)];
    if (text.empty()) text = added.text;
  }
  std::array<std::string, 256> byte_names;
  std::vector<std::int16_t> byte_of(texts.size(), -1);
  for (unsigned byte = 0; byte < 256 && units_ == Units::characters; ++byte) {
    const auto id = static_cast<std::size_t>(byte_ids_[byte]);
    texts[id] = byte_names[byte] = fmt::format("<0x{:02X}>", byte);
    byte_of[id] = static_cast<std::int16_t>(byte);
  }
  offsets_.reserve(texts.size() + 1);
  offsets_.push_back(0);
  if (units_ == Units::characters) decoded_at_.push_back(0);
  for (std::size_t id = 0; id < texts.size(); ++id) {
    texts_ += texts[id];
    if (texts_.size() > UINT32_MAX) throw DataError(fmt::format("{}: tokens of more than 4 GiB together", origin_));
    offsets_.push_back(static_cast<std::uint32_t>(texts_.size()));
    if (units_ == Units::bytes) continue;
    if (byte_of[id] >= 0) {
      decoded_ += static_cast<char>(byte_of[id]);
    } else if (is_special(static_cast<std::int32_t>(id))) {
      decoded_ += texts[id];
    } else {
      decoded_ += with_spaces(texts[id]);
    }
    decoded_at_.push_back(static_cast<std::uint32_t>(decoded_.size()));
  }
}

void BpeTables::check_merges() const {
  for (std::size_t rank = 0; rank < merges_.size(); ++rank) {
    const Merge& merge = merges_[rank];
    const auto is_token = [&](std::int32_t id) { return id >= 0 && id < vocab_size() && !token_text(id).empty() && !is_special(id); };
    if (!is_token(merge.left) || !is_token(merge.right) || !is_token(merge.merged)) {
      throw DataError(
          fmt::format("{}: merge {} ({} + {} -> {}) uses an id that is no token", origin_, rank, merge.left, merge.right, merge.merged));
    }
    const std::string_view left = token_text(merge.left), right = token_text(merge.right), merged = token_text(merge.merged);
    if (left.size() + right.size() != merged.size() || !merged.starts_with(left) || !merged.ends_with(right)) {
      throw DataError(fmt::format("{}: merge {} ({} + {} -> {}) does not give the bytes of token {}", origin_, rank, merge.left,
                                  merge.right, merge.merged, merge.merged));
    }
  }
}

void BpeTables::merges_from_ranks(std::vector<std::int32_t> rank_order) {
  merges_.clear();
  const bool rank_is_id = rank_order.empty();
  rank_order.resize(rank_is_id ? static_cast<std::size_t>(vocab_size()) : rank_order.size());
  if (rank_is_id) std::iota(rank_order.begin(), rank_order.end(), 0);
  if (!rank_is_id) rank_of_token_.resize(static_cast<std::size_t>(vocab_size()));
  for (std::size_t rank = 0; rank < rank_order.size(); ++rank) {
    const std::int32_t id = rank_order[rank];
    if (!rank_is_id) rank_of_token_[static_cast<std::size_t>(id)] = static_cast<std::uint32_t>(rank);
    const std::string_view bytes = token_text(id);
    if (bytes.empty() || find(bytes) != id) continue;  // special, or of no merge
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

void BpeTables::index_merges(bool ranked_by_token) {
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
    auto priority = static_cast<std::uint32_t>(rank);
    if (ranked_by_token) {
      priority = rank_of_token_.empty() ? static_cast<std::uint32_t>(merge.merged) : rank_of_token_[static_cast<std::size_t>(merge.merged)];
    }
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
    add_text(hash, token_text(id));
  }
  // Vocabularies that have none of what follows keep the fingerprint that they had before it existed.
  if (units_ == Units::characters) add_text(hash, "characters with byte fallback");
  if (!rules_.empty()) add_text(hash, rules_.description());
  for (const AddedToken& added : added_) {
    add_text(hash, added.normalized ? "added, normalized" : "added");
    add_number(hash, static_cast<std::uint64_t>(added.id));
    add_text(hash, added.text);
  }
  fingerprint_ = hash.finish_hex();
}

std::int32_t BpeTables::find(std::string_view text) const {
  const std::uint64_t hash = hash_of(text);
  for (std::size_t i = hash & (token_slots_.size() - 1);; i = (i + 1) & (token_slots_.size() - 1)) {
    const TokenSlot& slot = token_slots_[i];
    if (slot.id == kNoId) return kNoId;
    if (slot.tag == static_cast<std::uint32_t>(hash >> 32) && token_text(slot.id) == text) return slot.id;
  }
}

std::string_view BpeTables::token_text(std::int32_t id) const {
  const auto i = static_cast<std::size_t>(id);
  return std::string_view(texts_).substr(offsets_[i], offsets_[i + 1] - offsets_[i]);
}

std::string_view BpeTables::token_bytes(std::int32_t id) const {
  if (units_ == Units::bytes) return token_text(id);
  const auto i = static_cast<std::size_t>(id);
  return std::string_view(decoded_).substr(decoded_at_[i], decoded_at_[i + 1] - decoded_at_[i]);
}

bool BpeTables::is_special(std::int32_t id) const {
  const auto at = std::lower_bound(specials_.begin(), specials_.end(), id, [](const SpecialToken& s, std::int32_t i) { return s.id < i; });
  return at != specials_.end() && at->id == id;
}

}  // namespace longhaul::tokenizer
