// data/heldout.h — the held-out split cut into sequences so that every target is counted exactly once.
//
// Documents not isolated: the whole stream is one span and every token but the first is a target, as in training. Documents isolated: each
// document is a span of its own, whose targets are t₁ … tₙ and its end (accounting A11; without a begin token t₁ has no context and is no
// target), and windows begin at the document's first token; short windows share a sequence, each with its own context. Without
// end_of_text_loss no end is a target. A span longer than sequence_length is cut into
// windows at 0, stride, 2·stride …; a target counts in the first window that reaches it, so stride < sequence_length gives it at least
// sequence_length − stride tokens of context, and stride = sequence_length (the default) reads each token once.
// Bits per byte = (sum of −log₂ p over all targets) ÷ TokenStream::text_bytes() (accounting G), where covers_text().
#pragma once

#include <cstdint>
#include <vector>

#include "data/batch.h"
#include "data/dataset.h"
#include "data/packing.h"

namespace longhaul::data {

struct HeldoutOptions {
  std::int64_t sequence_length = 0;
  PackingOptions packing;
  std::int64_t stride = 0;  ///< 0 = sequence_length
};

class HeldoutWindows {
 public:
  /// The stream must outlive the object. @throws UsageError for a stride outside 1 … sequence_length, DataError for an empty stream
  HeldoutWindows(const TokenStream& stream, const HeldoutOptions& options);

  /// Sequences in all; targets in all (the number of tokens that bits/byte sums over).
  std::int64_t sequences() const { return static_cast<std::int64_t>(first_window_.size()) - 1; }
  std::int64_t target_tokens() const { return target_tokens_; }
  /// Whether every byte of the text is predicted: not without a begin token, where nothing comes before the first token of a document that
  /// is isolated, or of the stream.
  bool covers_text() const { return stream_.framing().has_begin(); }
  /// Sequences [first, first + count) as a batch of exactly `count`; what lies beyond the last is padding with loss_mask 0.
  /// @param places  if given, set to the place in the stream of each input token, −1 for padding
  Batch batch(std::int64_t first, std::int64_t count, std::vector<std::int64_t>* places = nullptr) const;

 private:
  /// Inputs [begin, begin + length) of the stream; targets count from `counted` on.
  struct Window {
    std::int64_t begin, length, counted;
  };
  void add_span(std::int64_t begin, std::int64_t targets, std::int64_t stride);
  bool is_end(std::int64_t place, std::int64_t& document) const;

  const TokenStream& stream_;
  HeldoutOptions options_;
  std::vector<Window> windows_;
  std::vector<std::int64_t> first_window_;  // of each sequence, and the end
  std::int64_t target_tokens_ = 0;
};

}  // namespace longhaul::data
