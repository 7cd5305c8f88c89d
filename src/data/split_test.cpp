#include "data/split.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "units/test_directory.h"

namespace longhaul::data {
namespace {

Split decided(const SplitOptions& options, bool own_heldout = false, bool one_document = false) {
  return Split::decide(options, own_heldout, [&] { return one_document; });
}

TEST(Split, HoldsOutDocumentsByHashUnlessAskedOtherwise) {
  EXPECT_EQ(decided({}), (Split{"longhaul", 0.05, 0, false}));
  EXPECT_EQ(decided({.heldout_fraction = 0.3, .salt = "pepper"}), (Split{"pepper", 0.3, 0, false}));
  EXPECT_EQ(decided({.heldout_tail = 0.2}), (Split{"longhaul", 0, 0.2, false}));
  EXPECT_EQ(decided({.eval_only = true}), (Split{"longhaul", 0, 0, true}));
}

TEST(Split, OneDocumentHoldsOutItsTail) {
  EXPECT_EQ(decided({}, false, true), (Split{"longhaul", 0, 0.1, false}));
  EXPECT_EQ(decided({.heldout_fraction = 0.25}, false, true), (Split{"longhaul", 0, 0.25, false}));
  EXPECT_EQ(decided({.heldout_fraction = 0}, false, true), (Split{"longhaul", 0, 0, false})) << "0 means nothing";
}

TEST(Split, OwnHeldOutSourcesLeaveTheRestToTrainingUnlessAskedOtherwise) {
  EXPECT_EQ(decided({}, true, true), (Split{"longhaul", 0, 0, false}));
  EXPECT_EQ(decided({.heldout_fraction = 0.3}, true), (Split{"longhaul", 0.3, 0, false}));
  EXPECT_EQ(decided({.heldout_tail = 0.3}, true), (Split{"longhaul", 0, 0.3, false}));
}

TEST(Split, ContradictionsAreUsageErrors) {
  const auto refused = [](const SplitOptions& options, bool own = false) { return message_of<UsageError>([&] { decided(options, own); }); };
  EXPECT_TRUE(contains(refused({.heldout_fraction = 0.1, .heldout_tail = 0.1}), "not both"));
  EXPECT_TRUE(contains(refused({.heldout_fraction = 1}), "--heldout-fraction 1"));
  EXPECT_TRUE(contains(refused({.heldout_tail = -0.1}), "--heldout-tail -0.1"));
  EXPECT_TRUE(contains(refused({.heldout_tail = 0.1, .eval_only = true}), "--eval-only"));
  EXPECT_TRUE(contains(refused({.eval_only = true}, true), "--heldout-source"));
}

TEST(Split, DividesATextIntoTrainAndHeldout) {
  const std::string text = "0123456 89\n";
  const auto expect = [&](const Split& split, bool of_heldout_source, const std::string& train) {
    const SplitText parts = split.divide(text, of_heldout_source);
    EXPECT_EQ(parts.train, train);
    EXPECT_EQ(std::string(parts.train) + std::string(parts.heldout), text);
  };
  expect({"longhaul", 0, 0, false}, false, text);
  expect({"longhaul", 0, 0, false}, true, "");
  expect({"longhaul", 0, 0, true}, false, "");
  expect({"longhaul", 0, 0.3, false}, false, "0123456 ");
  expect({"longhaul", 0, 0.3, false}, true, "");
}

TEST(Tail, BeginsAtTheNearestLine) {
  std::string text;
  for (int i = 0; i < 100; ++i) text += "a line of twenty byte\n";  // 22 bytes
  // The tail would begin at 1,980 = 90 · 22, where a line begins.
  EXPECT_EQ(tail_begin(text, 0.1), 1980u);
  // At 1,970 the nearest line begins at 1,980, at 1,968 at 1,958.
  EXPECT_EQ(tail_begin(text, 230.0 / 2200), 1980u);
  EXPECT_EQ(tail_begin(text, 232.0 / 2200), 1958u);
}

TEST(Tail, BeginsAfterWhiteSpaceOrACharacterWhereNoLineIsNear) {
  std::string words;
  for (int i = 0; i < 200; ++i) words += "word ";
  EXPECT_EQ(tail_begin(words, 0.1), 900u);
  EXPECT_EQ(tail_begin(words, 0.102), 900u);
  const std::string letters(1000, 'x');
  EXPECT_EQ(tail_begin(letters, 0.1), 900u);
  std::string whales;  // 3 bytes each
  for (int i = 0; i < 100; ++i) whales += "鯨";
  for (const double share : {0.1, 0.102, 0.104, 0.9}) EXPECT_EQ(tail_begin(whales, share) % 3, 0u) << share;
  EXPECT_EQ(tail_begin(whales, 0.102), 270u) << "269 is inside a character";
}

TEST(Tail, BothPartsHaveTextOrThereIsNoTail) {
  EXPECT_EQ(tail_begin("abc", 0.1), 3u) << "a third of a byte";
  EXPECT_EQ(tail_begin("abc", 0.34), 2u);
  EXPECT_EQ(tail_begin("abc", 0.99), 1u);
  EXPECT_EQ(tail_begin("鯨", 0.5), 3u) << "one character";
  EXPECT_EQ(tail_begin("", 0.5), 0u);
  EXPECT_EQ(tail_begin("a\n", 0.5), 1u);
}

TEST(Tail, IsNearItsShareAndNeverInsideACharacter) {
  std::mt19937 draw(1);
  const std::vector<std::string> pieces = {"a", "é", "鯨", "🐋", " ", "\n", "\u3000", "word"};
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    for (std::size_t i = draw() % 60; i > 0; --i) text += pieces[draw() % pieces.size()];
    const double share = static_cast<double>(draw() % 1000) / 1000;
    const std::size_t begin = tail_begin(text, share);
    ASSERT_LE(begin, text.size());
    if (begin == text.size()) continue;
    ASSERT_GT(begin, 0u);
    ASSERT_NE(static_cast<unsigned char>(text[begin]) & 0xC0, 0x80);
    const double tail = share * static_cast<double>(text.size());
    ASSERT_NEAR(static_cast<double>(text.size() - begin), tail, tail / 8 + 4) << text << " at " << share;
  }
}

TEST(Overlap, CountsAndNamesEqualDocuments) {
  Overlap overlap;
  overlap.add_heldout("one");
  overlap.add_heldout("two");
  for (int i = 0; i < 30; ++i) overlap.check_train(i % 2 == 0 ? "two" : "three", [&] { return std::to_string(i); });
  EXPECT_EQ(overlap.documents(), 15);
  EXPECT_EQ(overlap.names().size(), Overlap::kNamed);
  EXPECT_EQ(overlap.names()[1], "2");
}

TEST(SplitByHash, DependsOnTheDocumentAndTheSaltAlone) {
  int heldout = 0, moved = 0;
  for (int i = 0; i < 20000; ++i) {
    const std::string text = "document " + std::to_string(i);
    const bool here = is_heldout(text, "longhaul", 0.05);
    EXPECT_EQ(here, is_heldout(text, "longhaul", 0.05));
    EXPECT_TRUE(!here || is_heldout(text, "longhaul", 0.10)) << "a larger fraction keeps what a smaller one holds out";
    heldout += here;
    moved += here != is_heldout(text, "another", 0.05);
  }
  EXPECT_NEAR(heldout, 1000, 154);  // five standard deviations of a binomial with p = 0.05
  EXPECT_NEAR(moved, 1900, 207);    // independent salts: 2·p·(1−p)
  EXPECT_FALSE(is_heldout("document", "longhaul", 0));
}

TEST(SplitByHash, IsTheSameOnEveryMachineForEver) {
  // Stored when the split was defined: a change here moves documents between training and validation.
  std::string pattern;
  for (int i = 0; i < 32; ++i) pattern += is_heldout("document " + std::to_string(i), "longhaul", 0.25) ? '1' : '0';
  EXPECT_EQ(pattern, "00010001100001001111001010011001");
}

}  // namespace
}  // namespace longhaul::data
