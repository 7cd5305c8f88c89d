#include "data/loader.h"

#include <fmt/format.h>

#include <cassert>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>

#include "data/permutation.h"
#include "kernels/random.h"
#include "units/error.h"

namespace longhaul::data {

std::int64_t samples_per_epoch(const TokenStream& stream, std::int64_t sequence_length) {
  const std::int64_t samples = (stream.tokens() - 1) / sequence_length;
  if (samples < 1)
    throw DataError(
        fmt::format("the training split has {} tokens, less than one sample of {} (batch.sequence_length = {}, and one more for "
                    "the last target); add text or shorten the sequence",
                    stream.tokens(), sequence_length + 1, sequence_length));
  return samples;
}

Batch make_batch(const TokenStream& stream, const LoaderOptions& options, std::int64_t first, std::int64_t count) {
  const std::int64_t samples = samples_per_epoch(stream, options.sequence_length);
  Batch batch = Batch::zeros(count, options.sequence_length);
  std::int64_t epoch = first / samples;
  KeyedPermutation order(samples, options.seed, static_cast<std::uint32_t>(epoch));
  for (std::int64_t row = 0; row < count; ++row) {
    const std::int64_t global = first + row;
    if (global / samples != epoch) {
      epoch = global / samples;
      order = KeyedPermutation(samples, options.seed, static_cast<std::uint32_t>(epoch));
    }
    pack_sequence(stream, order(global % samples) * options.sequence_length, options.packing, batch, row);
  }
  return batch;
}

/// A queue of at most `prefetch` batches, filled in order by one thread.
class Loader::Impl {
 public:
  Impl(const TokenStream& stream, const LoaderOptions& options, LoaderCursor cursor)
      : stream_(stream), options_(options), consumed_(cursor.global_sample_index), produced_(cursor.global_sample_index) {
    if (options_.prefetch > 0) thread_ = std::jthread([this](const std::stop_token& stop) { produce(stop); });
  }

  Batch next() {
    Batch batch = options_.prefetch > 0 ? take() : make_batch(stream_, options_, consumed_, options_.global_batch);
    consumed_ += options_.global_batch;
    return batch;
  }

 private:
  Batch take() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !queue_.empty() || error_; });
    if (queue_.empty()) std::rethrow_exception(error_);  // batches made before the error are still good
    Batch batch = std::move(queue_.front());
    queue_.pop_front();
    changed_.notify_all();
    return batch;
  }

  void produce(const std::stop_token& stop) {
    try {
      while (!stop.stop_requested()) {
        Batch batch = make_batch(stream_, options_, produced_, options_.global_batch);
        produced_ += options_.global_batch;
        std::unique_lock lock(mutex_);
        const auto room = [&] { return queue_.size() < static_cast<std::size_t>(options_.prefetch); };
        if (!changed_.wait(lock, stop, room)) return;
        queue_.push_back(std::move(batch));
        changed_.notify_all();
      }
    } catch (...) {
      const std::lock_guard lock(mutex_);
      error_ = std::current_exception();
      changed_.notify_all();
    }
  }

  const TokenStream& stream_;
  const LoaderOptions options_;
  std::int64_t consumed_;  // by the caller's thread
  std::int64_t produced_;  // by the loader's thread
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<Batch> queue_;
  std::exception_ptr error_;
  std::jthread thread_;  // last: it stops and joins before what it uses goes away
};

Loader::Loader(const TokenStream& stream, const LoaderOptions& options, LoaderCursor cursor) {
  if (options.sequence_length < 1 || options.global_batch < 1 || cursor.global_sample_index < 0)
    throw UsageError(fmt::format("batch.sequence_length = {}, batch.global_batch = {} and the data position {} must be positive",
                                 options.sequence_length, options.global_batch, cursor.global_sample_index));
  samples_per_epoch(stream, options.sequence_length);  // a split that is too short is refused here, not at the first batch
  impl_ = std::make_unique<Impl>(stream, options, cursor);
}
Loader::~Loader() = default;
Batch Loader::next() { return impl_->next(); }

Batch synthetic_batch(std::uint64_t seed, std::int64_t vocab_size, std::int64_t first, std::int64_t sequences,
                      std::int64_t sequence_length) {
  Batch batch = Batch::zeros(sequences, sequence_length);
  const auto draw = [&](std::int64_t sample, std::int64_t i) {
    const auto index = static_cast<std::uint64_t>(sample) * static_cast<std::uint64_t>(sequence_length + 1) + static_cast<std::uint64_t>(i);
    const auto block = kernels::philox(seed, kernels::Purpose::synthetic_data, index);
    return static_cast<std::int32_t>(std::uint64_t{block[0]} * static_cast<std::uint64_t>(vocab_size) >> 32);
  };
  for (std::int64_t row = 0; row < sequences; ++row) {
    for (std::int64_t i = 0; i < sequence_length; ++i) {
      const auto at = static_cast<std::size_t>(row * sequence_length + i);
      batch.tokens[at] = i == 0 ? draw(first + row, 0) : batch.targets[at - 1];
      batch.targets[at] = draw(first + row, i + 1);
      batch.positions[at] = static_cast<std::int32_t>(i);
      batch.loss_mask[at] = 1;
    }
  }
  batch.target_tokens = batch.token_count();
  return batch;
}

}  // namespace longhaul::data
