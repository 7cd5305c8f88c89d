#include "data/heldout.h"

#include <gtest/gtest.h>

#include <map>
#include <tuple>
#include <vector>

#include "data/test_stream.h"

namespace longhaul::data {
namespace {

/// Documents of the given lengths (with <|endoftext|>); each id is its place in the stream.
TokenStream documents_of(const std::vector<std::int64_t>& lengths) {
  std::vector<std::int32_t> ids;
  std::vector<std::int64_t> starts;
  for (const std::int64_t length : lengths) {
    starts.push_back(static_cast<std::int64_t>(ids.size()));
    for (std::int64_t i = 0; i < length; ++i) ids.push_back(static_cast<std::int32_t>(ids.size()));
  }
  return stream_of(ids, starts, static_cast<std::int64_t>(ids.size()));
}

/// How often each place of the stream is a counted target.
std::map<std::int32_t, int> counted_targets(const HeldoutWindows& windows, std::int64_t batch_size) {
  std::map<std::int32_t, int> counts;
  for (std::int64_t first = 0; first < windows.sequences(); first += batch_size) {
    std::vector<std::int64_t> places;
    const Batch batch = windows.batch(first, batch_size, &places);
    std::int64_t targets = 0;
    for (std::size_t i = 0; i < batch.targets.size(); ++i) {
      EXPECT_TRUE(places[i] == batch.tokens[i] || places[i] == -1) << "ids are places";
      if (batch.loss_mask[i] == 0) continue;
      EXPECT_EQ(places[i], batch.tokens[i]);
      ++counts[batch.targets[i]];
      ++targets;
      EXPECT_EQ(batch.targets[i], batch.tokens[i] + 1);
    }
    EXPECT_EQ(batch.target_tokens, targets);
  }
  return counts;
}

class EveryTarget : public ::testing::TestWithParam<std::tuple<bool, std::int64_t, std::int64_t>> {};

TEST_P(EveryTarget, IsCountedExactlyOnce) {
  const auto [isolate, length, stride] = GetParam();
  const std::vector<std::int64_t> lengths = {3, 17, 2, 40, 1, 9, 8, 25};
  const TokenStream stream = documents_of(lengths);
  const HeldoutWindows windows(stream, {length, isolate, stride});
  const auto counts = counted_targets(windows, 3);
  std::int64_t expected = 0;
  for (std::int64_t d = 0; d < stream.documents(); ++d) {
    for (std::int64_t p = stream.document_begin(d); p < stream.document_begin(d + 1); ++p) {
      const bool is_target = p != stream.document_begin(d) || (!isolate && p != 0);
      const auto found = counts.find(static_cast<std::int32_t>(p));
      EXPECT_EQ(found == counts.end() ? 0 : found->second, is_target ? 1 : 0) << "place " << p;
      expected += is_target;
    }
  }
  EXPECT_EQ(windows.target_tokens(), expected);
}

INSTANTIATE_TEST_SUITE_P(Shapes, EveryTarget,
                         ::testing::Combine(::testing::Bool(), ::testing::Values(5, 8, 64), ::testing::Values(0, 1, 3, 5)));

TEST(HeldoutWindows, ShortDocumentsShareASequenceButSeeThemselvesAlone) {
  const TokenStream stream = documents_of({4, 3, 9});
  const HeldoutWindows windows(stream, {8, true, 0});
  ASSERT_EQ(windows.sequences(), 2);  // 3 + 2 pairs, then 8
  const Batch batch = windows.batch(0, 2);
  using Ints = std::vector<std::int32_t>;
  EXPECT_EQ(Ints(batch.tokens.begin(), batch.tokens.begin() + 5), (Ints{0, 1, 2, 4, 5}));
  EXPECT_EQ(Ints(batch.positions.begin(), batch.positions.begin() + 8), (Ints{0, 1, 2, 0, 1, 0, 1, 2}));
  EXPECT_EQ(Ints(batch.document_start.begin(), batch.document_start.begin() + 8), (Ints{0, 0, 0, 3, 3, 5, 5, 5}));
  EXPECT_EQ(Ints(batch.documents.begin(), batch.documents.begin() + 8), (Ints{0, 0, 0, 1, 1, 2, 2, 2}));
  EXPECT_EQ(batch.target_tokens, 13);
}

TEST(HeldoutWindows, AStrideGivesLaterTargetsContext) {
  const TokenStream stream = documents_of({13});
  const HeldoutWindows windows(stream, {8, true, 4});
  ASSERT_EQ(windows.sequences(), 2);  // pairs 0–7, then 4–11 of which 8–11 count
  const Batch second = windows.batch(1, 1);
  EXPECT_EQ(second.tokens.front(), 4);
  EXPECT_EQ(second.loss_mask, (std::vector<std::uint8_t>{0, 0, 0, 0, 1, 1, 1, 1}));
}

TEST(HeldoutWindows, BeyondTheEndIsPaddingWithoutTargets) {
  const TokenStream stream = documents_of({9});
  const HeldoutWindows windows(stream, {8, true, 0});
  const Batch batch = windows.batch(1, 2);
  EXPECT_EQ(batch.sequences, 2);
  EXPECT_EQ(batch.target_tokens, 0);
}

TEST(HeldoutWindows, RefusesAnEmptySplitAndABadStride) {
  const TokenStream empty = documents_of({});
  EXPECT_THROW(HeldoutWindows(empty, {8, true, 0}), DataError);
  const TokenStream stream = documents_of({9});
  EXPECT_TRUE(contains(message_of<UsageError>([&] { HeldoutWindows(stream, {8, true, 9}); }), "stride 9"));
}

}  // namespace
}  // namespace longhaul::data
