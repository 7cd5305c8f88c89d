#include "train/rank_account.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace longhaul::train {
namespace {

nlohmann::json rank_of(int number, int dp, int pp, double forward, double transfers) {
  return {
      {"rank", number}, {"dp", dp}, {"pp", pp}, {"seconds", {{"forward", forward}, {"backward", 2 * forward}, {"transfers", transfers}}}};
}

TEST(Stragglers, AreComparedWithTheirOwnStageAndWithoutWaiting) {
  // The second stage has more to do; within it rank 4 is slow, and rank 1 only waits.
  const std::vector<nlohmann::json> ranks = {rank_of(0, 0, 0, 1.0, 0.1), rank_of(1, 1, 0, 1.0, 9.0), rank_of(2, 2, 0, 1.1, 0.1),
                                             rank_of(3, 0, 1, 2.0, 0.1), rank_of(4, 1, 1, 2.8, 0.1), rank_of(5, 2, 1, 2.0, 0.1)};
  EXPECT_EQ(stragglers(ranks), std::vector<std::string>{"rank 4 (dp 1, pp 1) works 1.40 times as long a step as the median of its stage"});
  EXPECT_TRUE(stragglers({rank_of(0, 0, 0, 1, 0), rank_of(1, 0, 1, 5, 0)}).empty()) << "stages differ by what they hold";
}

}  // namespace
}  // namespace longhaul::train
