// data/loader.h — global batches in an order that is a pure function of (seed, epoch, global sample index).
//
// A split of N tokens has S = ⌊(N − 1) / sequence_length⌋ samples. Global sample g is sample π_e(g mod S) of epoch e = g div S, where
// π_e is a keyed permutation (data/permutation.h): no shuffled list is stored, a batch may straddle two epochs, and the whole position
// of the data is one number. Resuming from it is O(1) and gives the batches that an uninterrupted run would have had. What the prefetch
// thread has in flight is not state: it is derived again.
#pragma once

#include <cstdint>
#include <memory>

#include "data/batch.h"
#include "data/dataset.h"
#include "data/packing.h"

namespace longhaul::data {

struct LoaderOptions {
  std::uint64_t seed = 0;
  std::int64_t sequence_length = 0;
  std::int64_t global_batch = 0;  ///< sequences a step
  PackingOptions packing;
  int prefetch = 2;  ///< batches prepared ahead by the loader's thread; 0 = none, no thread
};

/// The data position: samples consumed since the start of the run, over all epochs.
struct LoaderCursor {
  std::int64_t global_sample_index = 0;
  bool operator==(const LoaderCursor&) const = default;
};

/// Samples in one epoch. @throws DataError when the split is shorter than one sample, naming both lengths
std::int64_t samples_per_epoch(const TokenStream& stream, std::int64_t sequence_length);

/// `count` sequences from global sample `first` on: the pure function behind Loader, for replays and `debug step`.
Batch make_batch(const TokenStream& stream, const LoaderOptions& options, std::int64_t first, std::int64_t count);

class Loader {
 public:
  /// The stream must outlive the loader.
  Loader(const TokenStream& stream, const LoaderOptions& options, LoaderCursor cursor = {});
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  /// The next global batch; waits for the prefetch thread. An error on that thread is thrown here.
  Batch next();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

/// Random tokens with targets, one document a sequence: what `bench step` and `plan` run on. A pure function of (seed, first sample).
Batch synthetic_batch(std::uint64_t seed, std::int64_t vocab_size, std::int64_t first, std::int64_t sequences,
                      std::int64_t sequence_length);

}  // namespace longhaul::data
