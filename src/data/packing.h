// data/packing.h — from a stream of documents to sequences of fixed length.
//
// Documents are concatenated and cut every sequence_length tokens (one token more is read, for the last target): nothing is lost and
// nothing is padded. With isolated documents a token sees and predicts only its own document: positions restart, document_start is
// where attention begins, and the last token of a document has no target (accounting A11). Without, the next document's <|endoftext|>
// is a target like any other and attention runs over the whole sequence.
#pragma once

#include <cstdint>
#include <span>

#include "data/batch.h"
#include "data/dataset.h"

namespace longhaul::data {

/// Fills sequence `row` of `batch` with stream tokens [first, first + sequence_length + 1) and adds to batch.target_tokens.
void pack_sequence(const TokenStream& stream, std::int64_t first, bool isolate_documents, Batch& batch, std::int64_t row);

/// Real tokens ÷ allocated tokens (accounting E2).
struct PackingUtilisation {
  double padded = 0;  ///< a block a document, longer ones cut
  double packed = 0;  ///< concatenated and cut, the last block padded
  std::int64_t packed_blocks = 0;
};
PackingUtilisation packing_utilisation(std::span<const std::int64_t> lengths, std::int64_t block);

}  // namespace longhaul::data
