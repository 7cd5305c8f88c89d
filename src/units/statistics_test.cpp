#include "units/statistics.h"

#include <gtest/gtest.h>

namespace longhaul {
namespace {

TEST(Median, OfAnEvenNumberIsTheMeanOfTheMiddleTwo) {
  EXPECT_EQ(median({4, 1, 3, 2}), 2.5);
  EXPECT_EQ(median({9, 1, 2}), 2);
  EXPECT_EQ(median({7}), 7);
  EXPECT_EQ(median({}), 0);
}

TEST(UpperMedian, IsAlwaysOneOfTheValues) {
  EXPECT_EQ(upper_median({4, 1, 3, 2}), 3);
  EXPECT_EQ(upper_median({9, 1, 2}), 2);
  EXPECT_EQ(upper_median({7}), 7);
  EXPECT_EQ(upper_median({}), 0);
}

TEST(Quantile, InterpolatesAsNumpyDoes) {
  EXPECT_DOUBLE_EQ(quantile({4, 1, 3, 2}, 0.5), 2.5);
  EXPECT_DOUBLE_EQ(quantile({1, 2, 3, 4}, 0.9), 3.7);
  EXPECT_DOUBLE_EQ(quantile({7}, 0.9), 7);
  EXPECT_EQ(quantile({}, 0.5), 0);
}

}  // namespace
}  // namespace longhaul
