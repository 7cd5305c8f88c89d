#include "data/heldout.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>

#include "units/error.h"

namespace longhaul::data {

HeldoutWindows::HeldoutWindows(const TokenStream& stream, const HeldoutOptions& options) : stream_(stream), options_(options) {
  const std::int64_t length = options.sequence_length, stride = options.stride == 0 ? length : options.stride;
  if (length < 1 || stride < 1 || stride > length)
    throw UsageError(fmt::format("stride {} is outside 1 … sequence_length = {}", stride, length));
  if (stream.tokens() < 2) throw DataError("the held-out split has no text; prepare the dataset with a larger held-out fraction");
  const std::int64_t unseen = options.packing.end_of_text_loss ? 0 : 1;  // ends that are no targets
  if (options.packing.isolate_documents) {
    for (std::int64_t d = 0; d < stream.documents(); ++d)
      add_span(stream.document_begin(d), stream.text_end(d) - stream.document_begin(d) - unseen, stride);
  } else {
    add_span(0, stream.tokens() - 1, stride);
    target_tokens_ -= unseen * stream.documents();
  }

  // Windows share a sequence in order while they fit (next fit). Without isolation attention would cross from one to the next, so each
  // has a sequence of its own.
  std::int64_t used = length;
  for (std::size_t w = 0; w < windows_.size(); ++w) {
    if (!options.packing.isolate_documents || used + windows_[w].length > length) {
      first_window_.push_back(static_cast<std::int64_t>(w));
      used = 0;
    }
    used += windows_[w].length;
  }
  first_window_.push_back(static_cast<std::int64_t>(windows_.size()));
}

/// Pair j of a span is (input begin + j, target begin + j + 1), j < targets.
void HeldoutWindows::add_span(std::int64_t begin, std::int64_t targets, std::int64_t stride) {
  if (targets <= 0) return;  // an empty document whose end is no target
  target_tokens_ += targets;
  for (std::int64_t start = 0, counted = 0; counted < targets; start += stride) {
    const std::int64_t end = std::min(start + options_.sequence_length, targets);
    windows_.push_back({begin + start, end - start, begin + counted});
    counted = end;
  }
}

/// Whether `place` holds the end of a document. @param document  of the place before, moved along; places are asked for in rising order
bool HeldoutWindows::is_end(std::int64_t place, std::int64_t& document) const {
  while (place > stream_.text_end(document) && document + 1 < stream_.documents()) ++document;
  return place == stream_.text_end(document);
}

Batch HeldoutWindows::batch(std::int64_t first, std::int64_t count, std::vector<std::int64_t>* places) const {
  assert(first >= 0 && count >= 0);
  const std::int64_t length = options_.sequence_length;
  Batch batch = Batch::zeros(count, length);
  if (places) places->assign(batch.tokens.size(), -1);
  std::vector<std::int32_t> ids(static_cast<std::size_t>(length) + 1);
  for (std::int64_t row = 0; row < count; ++row) {
    std::int64_t used = 0, segment = 0;
    // Each window, and the padding after the last, sees itself alone.
    const auto place = [&](std::int64_t i, std::int64_t start) {
      const auto at = static_cast<std::size_t>(row * length + start + i);
      batch.positions[at] = static_cast<std::int32_t>(i);
      batch.document_start[at] = static_cast<std::int32_t>(start);
      batch.documents[at] = static_cast<std::int32_t>(segment);
      return at;
    };
    if (first + row < sequences()) {
      const auto s = static_cast<std::size_t>(first + row);
      for (std::int64_t w = first_window_[s]; w < first_window_[s + 1]; ++w, ++segment) {
        const Window& window = windows_[static_cast<std::size_t>(w)];
        stream_.read(window.begin, std::span(ids).first(static_cast<std::size_t>(window.length) + 1));
        std::int64_t document = options_.packing.end_of_text_loss ? 0 : stream_.document_of(window.begin);
        for (std::int64_t i = 0; i < window.length; ++i) {
          const std::size_t at = place(i, used);
          if (places) (*places)[at] = window.begin + i;
          batch.tokens[at] = ids[static_cast<std::size_t>(i)];
          batch.targets[at] = ids[static_cast<std::size_t>(i) + 1];
          batch.loss_mask[at] =
              window.begin + i >= window.counted && (options_.packing.end_of_text_loss || !is_end(window.begin + i + 1, document));
          batch.target_tokens += batch.loss_mask[at];
        }
        used += window.length;
      }
    }
    for (std::int64_t i = 0; i < length - used; ++i) place(i, used);
  }
  return batch;
}

}  // namespace longhaul::data
