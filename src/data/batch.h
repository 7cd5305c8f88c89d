// data/batch.h — what one step reads: token ids, their targets, and the range of tokens that each may attend to.
//
// All arrays are row-major [sequences, sequence_length]. A batch is built once on the loader's thread and only read afterwards; a
// micro-batch is a slice of whole sequences. The number of unmasked targets is known before the forward pass, because dlogits carry
// 1/(unmasked targets of the global batch) (docs/numerics.md, accounting A10).
#pragma once

#include <cstdint>
#include <vector>

namespace longhaul::data {

struct Batch {
  std::int64_t sequences = 0;
  std::int64_t sequence_length = 0;
  std::vector<std::int32_t> tokens;          ///< input ids
  std::vector<std::int32_t> targets;         ///< the next token of the stream; meaningless where loss_mask is 0
  std::vector<std::int32_t> positions;       ///< 0, 1, …; restart at each document when documents are isolated
  std::vector<std::int32_t> document_start;  ///< index within the sequence of the first token that this token may attend to
  std::vector<std::int32_t> documents;       ///< index of the token's document within the sequence: 0, 1, …
  std::vector<std::uint8_t> loss_mask;       ///< 1 where the target counts
  std::int64_t target_tokens = 0;            ///< number of ones in loss_mask

  /// Tokens of a step as speeds count them: positions processed (accounting G).
  std::int64_t token_count() const { return sequences * sequence_length; }
  /// All arrays sized for `sequences` × `sequence_length`, zero; loss_mask 0.
  static Batch zeros(std::int64_t sequences, std::int64_t sequence_length);
  /// Sequences [first, first + count) as a batch of their own (a micro-batch, a virtual rank's share); target_tokens counted anew.
  Batch slice(std::int64_t first, std::int64_t count) const;
  bool operator==(const Batch&) const = default;
};

}  // namespace longhaul::data
