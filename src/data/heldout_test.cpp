#include "data/heldout.h"

#include <gtest/gtest.h>

#include <map>
#include <tuple>
#include <vector>

#include "data/test_stream.h"

namespace longhaul::data {
namespace {

constexpr tokenizer::Framing kShared{9, 9}, kSeparate{8, 9}, kEndAlone{tokenizer::Framing::kNone, 9};

/// Documents whose texts have so many tokens.
TokenStream documents_of(const std::vector<std::int64_t>& lengths, const tokenizer::Framing& framing = kShared) {
  ShardBuilder builder(10, framing, "test");
  std::int32_t id = 0;
  for (const std::int64_t length : lengths) {
    std::vector<std::int32_t> ids;
    for (std::int64_t i = 0; i < length; ++i) ids.push_back(id++ % 8);
    builder.add(ids, static_cast<std::uint32_t>(length), 0);
  }
  ShardHeader header;
  return TokenStream({Shard::own(builder.finish(header))});
}

/// How often each place of the stream is a counted target.
std::map<std::int64_t, int> counted_targets(const TokenStream& stream, const HeldoutWindows& windows, std::int64_t batch_size) {
  std::vector<std::int32_t> ids(static_cast<std::size_t>(stream.tokens()));
  stream.read(0, ids);
  std::map<std::int64_t, int> counts;
  for (std::int64_t first = 0; first < windows.sequences(); first += batch_size) {
    std::vector<std::int64_t> places;
    const Batch batch = windows.batch(first, batch_size, &places);
    std::int64_t targets = 0;
    for (std::size_t i = 0; i < batch.targets.size(); ++i) {
      if (places[i] == -1) {
        EXPECT_EQ(batch.loss_mask[i], 0) << "padding";
        continue;
      }
      EXPECT_EQ(batch.tokens[i], ids[static_cast<std::size_t>(places[i])]);
      EXPECT_EQ(batch.targets[i], ids[static_cast<std::size_t>(places[i]) + 1]);
      if (batch.loss_mask[i] == 0) continue;
      ++counts[places[i] + 1];
      ++targets;
    }
    EXPECT_EQ(batch.target_tokens, targets);
  }
  return counts;
}

using Shape = std::tuple<tokenizer::Framing, bool, bool, std::int64_t, std::int64_t>;
class EveryTarget : public ::testing::TestWithParam<Shape> {};

/// Accounting A11: the text, where a token comes before it that may be seen, and each document's end; what begins a document only where
/// documents are not isolated.
TEST_P(EveryTarget, IsCountedExactlyOnce) {
  const auto [framing, isolate, end_of_text_loss, length, stride] = GetParam();
  const TokenStream stream = documents_of({3, 17, 2, 0, 40, 1, 9, 8, 25}, framing);
  const HeldoutWindows windows(stream, {length, {isolate, end_of_text_loss}, stride});
  std::map<std::int64_t, int> expected;
  for (std::int64_t d = 0; d < stream.documents(); ++d) {
    for (std::int64_t p = stream.document_begin(d); p < stream.text_end(d); ++p)
      if (p != 0 && (!isolate || p != stream.document_begin(d))) expected[p] = 1;
    const bool alone = isolate && stream.text_end(d) == stream.document_begin(d);  // an end that nothing comes before
    if (end_of_text_loss && !alone)
      expected[stream.text_end(d)] = 1;
    else
      expected.erase(stream.text_end(d));
  }
  if (framing.shared() && !end_of_text_loss)  // the end of a document is the beginning of the next
    for (std::int64_t d = 0; d < stream.documents(); ++d) expected.erase(stream.document_begin(d));
  EXPECT_EQ(counted_targets(stream, windows, 3), expected);
  EXPECT_EQ(windows.target_tokens(), std::ssize(expected));
  EXPECT_EQ(windows.covers_text(), framing.has_begin());
}

INSTANTIATE_TEST_SUITE_P(Shapes, EveryTarget,
                         ::testing::Combine(::testing::Values(kShared, kSeparate, kEndAlone), ::testing::Bool(), ::testing::Bool(),
                                            ::testing::Values(5, 8, 64), ::testing::Values(0, 1, 3, 5)));

TEST(HeldoutWindows, ShortDocumentsShareASequenceButSeeThemselvesAlone) {
  const TokenStream stream = documents_of({3, 2, 7});
  const HeldoutWindows windows(stream, {8, {}, 0});
  ASSERT_EQ(windows.sequences(), 2);  // 4 + 3 pairs, then 8
  const Batch batch = windows.batch(0, 2);
  using Ints = std::vector<std::int32_t>;
  EXPECT_EQ(Ints(batch.tokens.begin(), batch.tokens.begin() + 7), (Ints{9, 0, 1, 2, 9, 3, 4}));
  EXPECT_EQ(Ints(batch.positions.begin(), batch.positions.begin() + 8), (Ints{0, 1, 2, 3, 0, 1, 2, 0}));
  EXPECT_EQ(Ints(batch.document_start.begin(), batch.document_start.begin() + 8), (Ints{0, 0, 0, 0, 4, 4, 4, 7}));
  EXPECT_EQ(Ints(batch.documents.begin(), batch.documents.begin() + 8), (Ints{0, 0, 0, 0, 1, 1, 1, 2}));
  EXPECT_EQ(batch.target_tokens, 15);
}

TEST(HeldoutWindows, AStrideGivesLaterTargetsContext) {
  const TokenStream stream = documents_of({11});
  const HeldoutWindows windows(stream, {8, {}, 4});
  ASSERT_EQ(windows.sequences(), 2);  // pairs 0–7, then 4–11 of which 8–11 count
  const Batch second = windows.batch(1, 1);
  EXPECT_EQ(second.tokens.front(), 3);
  EXPECT_EQ(second.loss_mask, (std::vector<std::uint8_t>{0, 0, 0, 0, 1, 1, 1, 1}));
}

TEST(HeldoutWindows, BeyondTheEndIsPaddingWithoutTargets) {
  const TokenStream stream = documents_of({7});
  const HeldoutWindows windows(stream, {8, {}, 0});
  const Batch batch = windows.batch(1, 2);
  EXPECT_EQ(batch.sequences, 2);
  EXPECT_EQ(batch.target_tokens, 0);
}

TEST(HeldoutWindows, RefusesAnEmptySplitAndABadStride) {
  const TokenStream empty = documents_of({});
  EXPECT_THROW(HeldoutWindows(empty, {8, {}, 0}), DataError);
  const TokenStream stream = documents_of({9});
  EXPECT_TRUE(contains(message_of<UsageError>([&] { HeldoutWindows(stream, {8, {}, 9}); }), "stride 9"));
}

}  // namespace
}  // namespace longhaul::data
