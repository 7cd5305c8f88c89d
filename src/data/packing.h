// data/packing.h — from a stream of documents to sequences of fixed length.
//
// Documents are concatenated and cut every sequence_length tokens (one token more is read, for the last target): nothing is lost and
// nothing is padded. The end token is the target of a document's last token (accounting A11), so that a model learns to stop. With
// isolated documents a token sees only its own document: positions restart and document_start is where attention begins. Where an end
// token is stored (tokenizer/framing.h), what follows it belongs to the next document and is a target only without isolation.
#pragma once

#include <cstdint>
#include <span>

#include "data/batch.h"
#include "data/dataset.h"

namespace longhaul::data {

struct PackingOptions {
  bool isolate_documents = true;
  bool end_of_text_loss = true;  ///< false: the end of a document is no target (Megatron's eod-mask-loss)
};

/// Fills sequence `row` of `batch` with stream tokens [first, first + sequence_length + 1) and adds to batch.target_tokens.
void pack_sequence(const TokenStream& stream, std::int64_t first, const PackingOptions& options, Batch& batch, std::int64_t row);

/// Real tokens ÷ allocated tokens (accounting E2).
struct PackingUtilisation {
  double padded = 0;  ///< a block a document, longer ones cut
  double packed = 0;  ///< concatenated and cut, the last block padded
  std::int64_t packed_blocks = 0;
};
PackingUtilisation packing_utilisation(std::span<const std::int64_t> lengths, std::int64_t block);

}  // namespace longhaul::data
