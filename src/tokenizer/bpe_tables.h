// tokenizer/bpe_tables.h — a vocabulary laid out for look-ups: text → id, pair of ids → merge, id → text and bytes.
//
// Held by a Tokenizer. Both tables are open-addressed and at most half full. A tiktoken vocabulary has no list of merges: two
// tokens merge if their bytes together are a token, so every split of every token into two tokens becomes a merge whose rank is the
// token's id. One look-up of two ids then replaces byte comparisons, with the same result.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/added_tokens.h"
#include "tokenizer/cutter.h"
#include "tokenizer/framing.h"
#include "tokenizer/tokenizer_parts.h"

namespace longhaul::tokenizer {

inline constexpr std::uint32_t kNoMerge = UINT32_MAX;  ///< a rank above all ranks
inline constexpr std::int32_t kNoId = -1;
/// Ids lie below 2^24: 64 times the largest vocabulary in use, and far from where a damaged number would ask for all memory.
inline constexpr std::int32_t kMaxVocabulary = 1 << 24;
/// Ids that a file may leave free beyond its entries (p50k_base leaves one). More would be a damaged number, not a vocabulary.
inline constexpr std::int32_t kMaxFreeIds = 4096;

/// What merging two tokens gives, and how urgent it is.
struct MergeResult {
  std::uint32_t rank = kNoMerge;
  std::int32_t merged = kNoId;
};

class BpeTables {
 public:
  /// @throws DataError as Tokenizer's constructor
  explicit BpeTables(TokenizerParts parts);

  std::int32_t byte_id(unsigned char byte) const { return byte_ids_[byte]; }
  /// Id of the token with this text; kNoId if there is none. Special tokens and those that stand for one byte (<0x00>) are not found.
  std::int32_t find(std::string_view text) const;
  MergeResult merge(std::int32_t left, std::int32_t right) const;
  bool whole_piece_first() const { return whole_piece_first_; }

  /// What the token decodes to.
  std::string_view token_bytes(std::int32_t id) const;
  /// What it is called where merges are made: in vocabularies of characters ▁ is a space and <0x0A> a byte.
  std::string_view token_text(std::int32_t id) const;
  std::int32_t vocab_size() const { return static_cast<std::int32_t>(offsets_.size()) - 1; }
  bool is_special(std::int32_t id) const;
  /// How documents are framed by default; end = kNone where no special token says so.
  const Framing& framing() const { return framing_; }
  /// Id of a special token, kNoId where there is none of this text.
  std::int32_t special_id(std::string_view text) const;
  const Pattern& pattern() const { return pattern_; }
  /// The pattern's expressions; nothing where a scanner cuts, or nobody.
  const std::shared_ptr<const CompiledPattern>& compiled_pattern() const { return compiled_; }
  Units units() const { return units_; }
  const TextRules& rules() const { return rules_; }
  const std::vector<SpecialToken>& specials() const { return specials_; }
  const std::vector<AddedToken>& added() const { return added_; }
  const AddedTokenSearch& added_in_text() const { return added_in_text_; }
  const AddedTokenSearch& added_in_normalized() const { return added_in_normalized_; }
  /// Appends the parts of `text` between which no merge can lie: cut in front of a ▁ where no token has the two characters side by side.
  void cut_before_metaspace(std::string_view text, std::vector<Range>& parts) const;
  const std::vector<Merge>& merges() const { return merges_; }
  const std::string& fingerprint() const { return fingerprint_; }
  const std::string& origin() const { return origin_; }

 private:
  struct PairSlot {
    std::int32_t left = kNoId, right = kNoId;
    MergeResult result;
  };
  struct TokenSlot {
    std::uint32_t tag = 0;  // upper half of the hash: spares most comparisons of bytes
    std::int32_t id = kNoId;
  };

  void check_ids(const TokenizerParts& parts) const;
  void check_special_texts() const;
  void lay_out(const TokenizerParts& parts);
  void prepare_search();
  void note_before_metaspace();
  void index_tokens(const std::vector<std::string>& tokens);
  void check_merges() const;
  void merges_from_ranks(std::vector<std::int32_t> rank_order);
  void index_merges(bool ranked_by_token);
  void choose_framing();
  void compute_fingerprint();

  Pattern pattern_;
  std::shared_ptr<const CompiledPattern> compiled_;
  Units units_;
  TextRules rules_;
  bool whole_piece_first_;
  std::vector<SpecialToken> specials_;  // ascending id
  std::vector<AddedToken> added_;       // ascending id
  AddedTokenSearch added_in_text_, added_in_normalized_;
  std::vector<Merge> merges_;
  std::string origin_;
  std::string texts_;                         // of all tokens, by id
  std::vector<std::uint32_t> offsets_;        // into texts_; vocab_size + 1 of them
  std::string decoded_;                       // of `characters`: what they decode to, by id
  std::vector<std::uint32_t> decoded_at_;     // into decoded_
  std::vector<char32_t> before_metaspace_;    // of `characters`: those in front of a ▁ inside some token, ascending
  std::vector<std::uint32_t> rank_of_token_;  // where merges are ranked by the token they make and its id is not the rank
  std::array<std::int32_t, 256> byte_ids_{};
  std::vector<TokenSlot> token_slots_;
  std::vector<PairSlot> pair_slots_;
  int pair_shift_ = 63;
  Framing framing_;
  std::string fingerprint_;

  // Multiplicative (Fibonacci) hashing: the upper bits of a product with 2^64/φ depend on all bits of the pair.
  std::size_t pair_slot(std::int32_t left, std::int32_t right) const {
    const std::uint64_t key = static_cast<std::uint64_t>(left) << 32 | static_cast<std::uint32_t>(right);
    return (key ^ (key >> 29)) * 0x9E3779B97F4A7C15u >> pair_shift_;
  }
};

inline MergeResult BpeTables::merge(std::int32_t left, std::int32_t right) const {
  for (std::size_t i = pair_slot(left, right);; i = (i + 1) & (pair_slots_.size() - 1)) {
    const PairSlot& slot = pair_slots_[i];
    if (slot.left == left && slot.right == right) return slot.result;
    if (slot.left == kNoId) return {};
  }
}

}  // namespace longhaul::tokenizer
