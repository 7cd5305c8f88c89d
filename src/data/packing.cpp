#include "data/packing.h"

#include <cassert>
#include <vector>

namespace longhaul::data {

void pack_sequence(const TokenStream& stream, std::int64_t first, const PackingOptions& options, Batch& batch, std::int64_t row) {
  assert(row >= 0 && row < batch.sequences);
  const std::int64_t length = batch.sequence_length, offset = row * length;
  std::vector<std::int32_t> ids(static_cast<std::size_t>(length) + 1);
  stream.read(first, ids);

  const std::int64_t first_document = stream.document_of(first);
  std::int64_t document = first_document, next_begin = stream.document_begin(document + 1), end = stream.text_end(document);
  std::int64_t start = 0;  // of the present document, within the sequence
  for (std::int64_t i = 0; i < length; ++i) {
    if (first + i == next_begin) {
      next_begin = stream.document_begin(++document + 1);
      end = stream.text_end(document);
      start = i;
    }
    const auto at = static_cast<std::size_t>(offset + i);
    const std::int64_t visible_from = options.isolate_documents ? start : 0, target = first + i + 1;
    const bool has_target = target == end ? options.end_of_text_loss : target < end || !options.isolate_documents;
    batch.tokens[at] = ids[static_cast<std::size_t>(i)];
    batch.targets[at] = ids[static_cast<std::size_t>(i) + 1];
    batch.positions[at] = static_cast<std::int32_t>(i - visible_from);
    batch.document_start[at] = static_cast<std::int32_t>(visible_from);
    batch.documents[at] = static_cast<std::int32_t>(document - first_document);
    batch.loss_mask[at] = has_target;
    batch.target_tokens += has_target;
  }
}

PackingUtilisation packing_utilisation(std::span<const std::int64_t> lengths, std::int64_t block) {
  assert(block > 0);
  std::int64_t tokens = 0, padded_blocks = 0;
  for (const std::int64_t length : lengths) {
    tokens += length;
    padded_blocks += (length + block - 1) / block;
  }
  PackingUtilisation result;
  result.packed_blocks = (tokens + block - 1) / block;
  if (tokens == 0) return result;
  result.padded = static_cast<double>(tokens) / static_cast<double>(padded_blocks * block);
  result.packed = static_cast<double>(tokens) / static_cast<double>(result.packed_blocks * block);
  return result;
}

}  // namespace longhaul::data
