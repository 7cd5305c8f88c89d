#include "data/token_source.h"

#include <gtest/gtest.h>

#include <vector>

namespace longhaul::data {
namespace {

TEST(TailOfIds, BeginsWithATokenAndLeavesSomethingOnBothSides) {
  ingest::TokenVocabulary vocabulary;
  vocabulary.bytes = {"a", "four", " "};
  const auto place = [&](const std::vector<std::int32_t>& ids, std::size_t bytes, double share) {
    const TokenPlace found = tail_begin_of_ids(ids, bytes, share, vocabulary);
    return std::pair(found.token, found.byte);
  };
  const std::vector<std::int32_t> ten = {0, 1, 0, 1};  // a four a four
  EXPECT_EQ(place(ten, 10, 0.5), std::pair(std::size_t{2}, std::size_t{5}));
  EXPECT_EQ(place(ten, 10, 0.4), std::pair(std::size_t{3}, std::size_t{6}));
  EXPECT_EQ(place(ten, 10, 0.1), std::pair(std::size_t{4}, std::size_t{10})) << "the last token is longer: no tail";
  EXPECT_EQ(place(ten, 10, 0.99), std::pair(std::size_t{1}, std::size_t{1})) << "the first token stays";
  EXPECT_EQ(place(ten, 10, 0.01), std::pair(std::size_t{4}, std::size_t{10}));
  EXPECT_EQ(place({2, 1, 1}, 8, 0.5), std::pair(std::size_t{2}, std::size_t{4})) << "the first space is none of the text";
  EXPECT_EQ(place({2, 1, 1}, 8, 0.99), std::pair(std::size_t{2}, std::size_t{4}));
}

}  // namespace
}  // namespace longhaul::data
