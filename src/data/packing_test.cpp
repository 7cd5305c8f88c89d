#include "data/packing.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "data/test_stream.h"

namespace longhaul::data {
namespace {

using Ints = std::vector<std::int32_t>;
using Mask = std::vector<std::uint8_t>;

constexpr std::int32_t kEnd = 9;  // <|endoftext|>

constexpr std::int32_t kBegin = 8;
constexpr PackingOptions kIsolated{true, true}, kOneText{false, true};

/// Three documents framed by one token: [9 1 2 3] [9 4] [9 5 6 7 8], and the end of the last.
TokenStream three_documents() { return stream_of({9, 1, 2, 3, 9, 4, 9, 5, 6, 7, 8}, {0, 4, 6}, 10); }

/// Documents 1 2 and 3, and 4 5 6, framed as asked.
TokenStream framed(const tokenizer::Framing& framing) {
  ShardBuilder builder(10, framing, "test");
  for (const Ints& ids : {Ints{1, 2}, Ints{3}, Ints{4, 5, 6}}) builder.add(ids, 1, 0);
  ShardHeader header;
  return TokenStream({Shard::own(builder.finish(header))});
}

Batch packed(const TokenStream& stream, std::int64_t first, std::int64_t length, const PackingOptions& options) {
  Batch batch = Batch::zeros(1, length);
  pack_sequence(stream, first, options, batch, 0);
  std::int64_t ones = 0;
  for (const std::uint8_t counts : batch.loss_mask) ones += counts;
  EXPECT_EQ(batch.target_tokens, ones);
  return batch;
}

TEST(Packing, IsolatedDocumentsSeeOnlyThemselvesAndLearnToEnd) {  // accounting A11
  const Batch batch = packed(three_documents(), 0, 8, kIsolated);
  EXPECT_EQ(batch.tokens, (Ints{kEnd, 1, 2, 3, kEnd, 4, kEnd, 5}));
  EXPECT_EQ(batch.targets, (Ints{1, 2, 3, kEnd, 4, kEnd, 5, 6}));
  EXPECT_EQ(batch.positions, (Ints{0, 1, 2, 3, 0, 1, 0, 1}));
  EXPECT_EQ(batch.document_start, (Ints{0, 0, 0, 0, 4, 4, 6, 6}));
  EXPECT_EQ(batch.documents, (Ints{0, 0, 0, 0, 1, 1, 2, 2}));
  EXPECT_EQ(batch.loss_mask, Mask(8, 1));
}

TEST(Packing, WithoutIsolationTheStreamIsOneText) {
  const Batch batch = packed(three_documents(), 0, 8, kOneText);
  EXPECT_EQ(batch.tokens, (Ints{kEnd, 1, 2, 3, kEnd, 4, kEnd, 5}));
  EXPECT_EQ(batch.targets, (Ints{1, 2, 3, kEnd, 4, kEnd, 5, 6}));
  EXPECT_EQ(batch.positions, (Ints{0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(batch.document_start, Ints(8, 0));
  EXPECT_EQ(batch.documents, (Ints{0, 0, 0, 0, 1, 1, 2, 2}));
  EXPECT_EQ(batch.loss_mask, Mask(8, 1));
}

TEST(Packing, EndsAreNoTargetsWhereTheyAreLeftOut) {
  for (const bool isolate : {true, false})
    EXPECT_EQ(packed(three_documents(), 0, 11, {isolate, false}).loss_mask, (Mask{1, 1, 1, 0, 1, 0, 1, 1, 1, 1, 0})) << isolate;
}

TEST(Packing, ASequenceThatBeginsInsideADocumentStartsItAfresh) {
  Batch batch = Batch::zeros(2, 4);
  pack_sequence(three_documents(), 2, kIsolated, batch, 1);
  EXPECT_EQ(batch.tokens, (Ints{0, 0, 0, 0, 2, 3, kEnd, 4}));
  EXPECT_EQ(batch.targets, (Ints{0, 0, 0, 0, 3, kEnd, 4, kEnd}));
  EXPECT_EQ(batch.positions, (Ints{0, 0, 0, 0, 0, 1, 0, 1}));
  EXPECT_EQ(batch.document_start, (Ints{0, 0, 0, 0, 0, 0, 2, 2}));
  EXPECT_EQ(batch.documents, (Ints{0, 0, 0, 0, 0, 0, 1, 1}));
  EXPECT_EQ(batch.loss_mask, (Mask{0, 0, 0, 0, 1, 1, 1, 1}));
  EXPECT_EQ(batch.target_tokens, 4);
}

TEST(Packing, TheLastDocumentOfTheStreamHasItsEndToo) {
  EXPECT_EQ(three_documents().tokens(), 12);
  for (const bool isolate : {true, false}) {
    const Batch batch = packed(three_documents(), 6, 5, {isolate, true});
    EXPECT_EQ(batch.targets, (Ints{5, 6, 7, 8, kEnd}));
    EXPECT_EQ(batch.loss_mask, Mask(5, 1));
  }
}

TEST(Packing, WithATokenForEachEndNothingIsPredictedAcrossIsolatedDocuments) {
  const TokenStream stream = framed({kBegin, kEnd});  // 8 1 2 9 | 8 3 9 | 8 4 5 6 9
  EXPECT_EQ(stream.tokens(), 12);
  const Batch isolated = packed(stream, 0, 11, kIsolated);
  EXPECT_EQ(isolated.tokens, (Ints{8, 1, 2, 9, 8, 3, 9, 8, 4, 5, 6}));
  EXPECT_EQ(isolated.targets, (Ints{1, 2, 9, 8, 3, 9, 8, 4, 5, 6, 9}));
  EXPECT_EQ(isolated.loss_mask, (Mask{1, 1, 1, 0, 1, 1, 0, 1, 1, 1, 1})) << "what follows an end is another document's";
  EXPECT_EQ(isolated.positions, (Ints{0, 1, 2, 3, 0, 1, 2, 0, 1, 2, 3}));
  EXPECT_EQ(packed(stream, 0, 11, kOneText).loss_mask, Mask(11, 1));
  EXPECT_EQ(packed(stream, 0, 11, {true, false}).loss_mask, (Mask{1, 1, 0, 0, 1, 0, 0, 1, 1, 1, 0}));
  EXPECT_EQ(packed(stream, 0, 11, {false, false}).loss_mask, (Mask{1, 1, 0, 1, 1, 0, 1, 1, 1, 1, 0}));
  EXPECT_EQ(packed(stream, 3, 2, kIsolated).loss_mask, (Mask{0, 1})) << "a sequence may begin at an end";
}

TEST(Packing, WithoutABeginTokenTheFirstTokenIsPredictedFromTheEndBefore) {
  const TokenStream stream = framed({tokenizer::Framing::kNone, kEnd});  // 1 2 9 | 3 9 | 4 5 6 9
  EXPECT_EQ(stream.tokens(), 9);
  EXPECT_EQ(packed(stream, 0, 8, kIsolated).loss_mask, (Mask{1, 1, 0, 1, 0, 1, 1, 1}));
  EXPECT_EQ(packed(stream, 0, 8, kOneText).loss_mask, Mask(8, 1));
}

TEST(Packing, SlicesAreWholeSequencesWithTheirOwnTargetCount) {
  Batch batch = Batch::zeros(2, 5);
  pack_sequence(three_documents(), 0, {true, false}, batch, 0);
  pack_sequence(three_documents(), 5, {true, false}, batch, 1);
  const Batch second = batch.slice(1, 1);
  EXPECT_EQ(second.tokens, (Ints{4, kEnd, 5, 6, 7}));
  EXPECT_EQ(second.target_tokens, 4);
  EXPECT_EQ(batch.slice(0, 1).target_tokens + second.target_tokens, batch.target_tokens);
  EXPECT_EQ(batch.slice(0, 2), batch);
}

TEST(Packing, UtilisationGolden) {  // accounting E2
  const std::array<std::int64_t, 8> lengths = {128, 512, 900, 64, 256, 700, 1024, 300};
  const PackingUtilisation utilisation = packing_utilisation(lengths, 1024);
  EXPECT_NEAR(utilisation.padded, 0.4741, 5e-5);
  EXPECT_NEAR(utilisation.packed, 0.9482, 5e-5);
  EXPECT_EQ(utilisation.packed_blocks, 4);
}

TEST(Packing, UtilisationCutsLongDocumentsAndTakesNone) {
  const std::array<std::int64_t, 1> one = {5};
  EXPECT_DOUBLE_EQ(packing_utilisation(one, 4).padded, 5.0 / 8);
  EXPECT_EQ(packing_utilisation({}, 4).packed_blocks, 0);
}

}  // namespace
}  // namespace longhaul::data
