#include "data/loader.h"

#include <gtest/gtest.h>

#include <set>
#include <stdexcept>
#include <vector>

#include "data/test_stream.h"

namespace longhaul::data {
namespace {

/// `count` tokens, a document every 7, ids that name their place.
TokenStream numbered(std::int64_t count) {
  std::vector<std::int32_t> ids;
  std::vector<std::int64_t> starts;
  for (std::int64_t i = 0; i < count; ++i) {
    ids.push_back(static_cast<std::int32_t>(i));
    if (i % 7 == 0) starts.push_back(i);
  }
  return stream_of(ids, starts, count);
}

LoaderOptions options_of(std::int64_t length, std::int64_t global_batch, int prefetch = 2) {
  LoaderOptions options;
  options.seed = 11;
  options.sequence_length = length;
  options.global_batch = global_batch;
  options.prefetch = prefetch;
  return options;
}

std::vector<std::int32_t> first_tokens(const Batch& batch) {
  std::vector<std::int32_t> firsts;
  for (std::int64_t s = 0; s < batch.sequences; ++s) firsts.push_back(batch.tokens[static_cast<std::size_t>(s * batch.sequence_length)]);
  return firsts;
}

TEST(Loader, SamplesAreOneTokenLongerThanTheirStride) {
  EXPECT_EQ(samples_per_epoch(numbered(40), 4), 10);
  EXPECT_EQ(samples_per_epoch(numbered(39), 4), 9);
  const std::string message = message_of<DataError>([] { samples_per_epoch(numbered(3), 4); });
  EXPECT_TRUE(contains(message, "4 tokens") && contains(message, "one sample of 5")) << message;
}

TEST(Loader, AnEpochReadsEverySampleOnceAndTheNextInAnotherOrder) {
  const TokenStream stream = numbered(401);  // 100 samples
  Loader loader(stream, options_of(4, 10));
  std::vector<std::vector<std::int32_t>> orders(2);
  for (auto& order : orders) {
    for (int b = 0; b < 10; ++b)
      for (const std::int32_t first : first_tokens(loader.next())) order.push_back(first);
    const std::set<std::int32_t> distinct(order.begin(), order.end());
    EXPECT_EQ(distinct.size(), 100u);
    for (const std::int32_t first : distinct) EXPECT_EQ(first % 4, 0);
  }
  EXPECT_NE(orders[0], orders[1]);
}

TEST(Loader, BatchesStraddleEpochs) {
  const TokenStream stream = numbered(29);  // 7 samples, batches of 3
  Loader loader(stream, options_of(4, 3));
  std::vector<std::int32_t> straight;
  for (int b = 0; b < 7; ++b)
    for (const std::int32_t first : first_tokens(loader.next())) straight.push_back(first);
  for (std::size_t epoch = 0; epoch < 3; ++epoch) {
    const auto begin = straight.begin() + static_cast<std::ptrdiff_t>(7 * epoch);
    EXPECT_EQ(std::set<std::int32_t>(begin, begin + 7).size(), 7u) << "epoch " << epoch;
  }
}

TEST(Loader, ABatchMayBeLargerThanAnEpoch) {
  const TokenStream stream = numbered(9);  // 2 samples
  const Batch batch = make_batch(stream, options_of(4, 5), 0, 5);
  EXPECT_EQ(batch.sequences, 5);
  EXPECT_EQ(first_tokens(batch)[0] + first_tokens(batch)[1], 4);
}

TEST(Loader, ResumeFromTheCursorIsTheStraightRun) {
  const TokenStream stream = numbered(200);
  for (const int prefetch : {0, 1, 4}) {
    Loader straight(stream, options_of(5, 6, prefetch));
    std::vector<Batch> batches;
    std::vector<LoaderCursor> cursors;
    for (int b = 0; b < 20; ++b) {
      cursors.push_back({6 * b});
      batches.push_back(straight.next());
    }
    for (const std::size_t at : {std::size_t{0}, std::size_t{1}, std::size_t{7}, std::size_t{13}}) {
      Loader resumed(stream, options_of(5, 6, 2), cursors[at]);
      for (std::size_t b = at; b < batches.size(); ++b) ASSERT_EQ(resumed.next(), batches[b]) << "resumed at " << at << ", batch " << b;
    }
  }
}

TEST(Loader, TheOrderOfSamplesDoesNotDependOnTheBatch) {
  const TokenStream stream = numbered(200);
  const Batch whole = make_batch(stream, options_of(5, 12), 0, 60);
  for (const std::int64_t global_batch : {1, 4, 12}) {
    Loader loader(stream, options_of(5, global_batch));
    for (std::int64_t first = 0; first < 60; first += global_batch) ASSERT_EQ(loader.next(), whole.slice(first, global_batch));
  }
}

TEST(Loader, SeedChangesTheOrder) {
  const TokenStream stream = numbered(401);
  LoaderOptions other = options_of(4, 50);
  other.seed = 12;
  EXPECT_NE(first_tokens(make_batch(stream, options_of(4, 50), 0, 50)), first_tokens(make_batch(stream, other, 0, 50)));
}

TEST(Loader, StopsCleanlyWithBatchesInFlight) {
  const TokenStream stream = numbered(2000);
  for (int i = 0; i < 50; ++i) {
    Loader loader(stream, options_of(4, 8, 3));
    if (i % 2 == 0) loader.next();
  }
}

TEST(Loader, AnErrorOnTheLoadersThreadIsThrownByNext) {
  const TokenStream stream = numbered(20);
  Loader loader(stream, options_of(4, std::int64_t{1} << 60));  // no vector is that long
  EXPECT_THROW(loader.next(), std::length_error);
  EXPECT_THROW(loader.next(), std::length_error);
}

TEST(Loader, RefusesWhatCannotBeLoaded) {
  const TokenStream stream = numbered(20);
  EXPECT_THROW(Loader(stream, options_of(4, 0)), UsageError);
  EXPECT_THROW(Loader(stream, options_of(4, 1), LoaderCursor{-1}), UsageError);
  EXPECT_THROW(Loader(stream, options_of(30, 1)), DataError);
}

TEST(SyntheticBatch, IsAPureFunctionOfSeedAndSample) {
  const Batch batch = synthetic_batch(3, 1000, 0, 4, 16);
  EXPECT_EQ(batch, synthetic_batch(3, 1000, 0, 4, 16));
  EXPECT_EQ(batch.slice(2, 2), synthetic_batch(3, 1000, 2, 2, 16));
  EXPECT_NE(batch.tokens, synthetic_batch(4, 1000, 0, 4, 16).tokens);
  EXPECT_EQ(batch.target_tokens, 64);
  for (std::size_t i = 0; i < batch.tokens.size(); ++i) {
    ASSERT_LT(batch.tokens[i], 1000);
    ASSERT_GE(batch.tokens[i], 0);
    if (i % 16 != 15) {
      ASSERT_EQ(batch.targets[i], batch.tokens[i + 1]);
    }
  }
}

}  // namespace
}  // namespace longhaul::data
