#include "data/batch.h"

#include <algorithm>
#include <cassert>

namespace longhaul::data {

Batch Batch::zeros(std::int64_t sequences, std::int64_t sequence_length) {
  Batch batch;
  batch.sequences = sequences;
  batch.sequence_length = sequence_length;
  const auto size = static_cast<std::size_t>(sequences * sequence_length);
  for (auto* array : {&batch.tokens, &batch.targets, &batch.positions, &batch.document_start, &batch.documents}) array->assign(size, 0);
  batch.loss_mask.assign(size, 0);
  return batch;
}

Batch Batch::slice(std::int64_t first, std::int64_t count) const {
  assert(first >= 0 && count >= 0 && first + count <= sequences);
  Batch part;
  part.sequences = count;
  part.sequence_length = sequence_length;
  const auto begin = first * sequence_length, end = (first + count) * sequence_length;
  const auto copy = [&](const auto& from, auto& to) { to.assign(from.begin() + begin, from.begin() + end); };
  copy(tokens, part.tokens);
  copy(targets, part.targets);
  copy(positions, part.positions);
  copy(document_start, part.document_start);
  copy(documents, part.documents);
  copy(loss_mask, part.loss_mask);
  part.target_tokens = std::count(part.loss_mask.begin(), part.loss_mask.end(), std::uint8_t{1});
  return part;
}

}  // namespace longhaul::data
