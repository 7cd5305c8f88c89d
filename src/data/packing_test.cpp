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

/// Three documents: [9 1 2 3] [9 4] [9 5 6 7 8].
TokenStream three_documents() { return stream_of({9, 1, 2, 3, 9, 4, 9, 5, 6, 7, 8}, {0, 4, 6}, 10); }

TEST(Packing, IsolatedDocumentsSeeAndPredictOnlyThemselves) {  // accounting A11
  Batch batch = Batch::zeros(1, 8);
  pack_sequence(three_documents(), 0, true, batch, 0);
  EXPECT_EQ(batch.tokens, (Ints{kEnd, 1, 2, 3, kEnd, 4, kEnd, 5}));
  EXPECT_EQ(batch.targets, (Ints{1, 2, 3, kEnd, 4, kEnd, 5, 6}));
  EXPECT_EQ(batch.positions, (Ints{0, 1, 2, 3, 0, 1, 0, 1}));
  EXPECT_EQ(batch.document_start, (Ints{0, 0, 0, 0, 4, 4, 6, 6}));
  EXPECT_EQ(batch.documents, (Ints{0, 0, 0, 0, 1, 1, 2, 2}));
  EXPECT_EQ(batch.loss_mask, (Mask{1, 1, 1, 0, 1, 0, 1, 1}));
  EXPECT_EQ(batch.target_tokens, 6);
}

TEST(Packing, WithoutIsolationTheStreamIsOneText) {
  Batch batch = Batch::zeros(1, 8);
  pack_sequence(three_documents(), 0, false, batch, 0);
  EXPECT_EQ(batch.tokens, (Ints{kEnd, 1, 2, 3, kEnd, 4, kEnd, 5}));
  EXPECT_EQ(batch.targets, (Ints{1, 2, 3, kEnd, 4, kEnd, 5, 6}));
  EXPECT_EQ(batch.positions, (Ints{0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(batch.document_start, Ints(8, 0));
  EXPECT_EQ(batch.documents, (Ints{0, 0, 0, 0, 1, 1, 2, 2}));
  EXPECT_EQ(batch.loss_mask, Mask(8, 1));
  EXPECT_EQ(batch.target_tokens, 8);
}

TEST(Packing, ASequenceThatBeginsInsideADocumentStartsItAfresh) {
  Batch batch = Batch::zeros(2, 4);
  pack_sequence(three_documents(), 2, true, batch, 1);
  EXPECT_EQ(batch.tokens, (Ints{0, 0, 0, 0, 2, 3, kEnd, 4}));
  EXPECT_EQ(batch.targets, (Ints{0, 0, 0, 0, 3, kEnd, 4, kEnd}));
  EXPECT_EQ(batch.positions, (Ints{0, 0, 0, 0, 0, 1, 0, 1}));
  EXPECT_EQ(batch.document_start, (Ints{0, 0, 0, 0, 0, 0, 2, 2}));
  EXPECT_EQ(batch.documents, (Ints{0, 0, 0, 0, 0, 0, 1, 1}));
  EXPECT_EQ(batch.loss_mask, (Mask{0, 0, 0, 0, 1, 0, 1, 0}));
  EXPECT_EQ(batch.target_tokens, 2);
}

TEST(Packing, TheLastTokenOfTheStreamIsATarget) {
  Batch batch = Batch::zeros(1, 5);
  pack_sequence(three_documents(), 5, true, batch, 0);
  EXPECT_EQ(batch.targets, (Ints{kEnd, 5, 6, 7, 8}));
  EXPECT_EQ(batch.loss_mask, (Mask{0, 1, 1, 1, 1}));
}

TEST(Packing, SlicesAreWholeSequencesWithTheirOwnTargetCount) {
  Batch batch = Batch::zeros(2, 5);
  pack_sequence(three_documents(), 0, true, batch, 0);
  pack_sequence(three_documents(), 5, true, batch, 1);
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
