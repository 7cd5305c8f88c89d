#include "data/permutation.h"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

namespace longhaul::data {
namespace {

std::vector<std::int64_t> all_of(std::int64_t n, std::uint64_t seed, std::uint32_t epoch) {
  const KeyedPermutation permutation(n, seed, epoch);
  std::vector<std::int64_t> values;
  for (std::int64_t i = 0; i < n; ++i) values.push_back(permutation(i));
  return values;
}

TEST(KeyedPermutation, IsABijectionForEverySmallSizeAndAroundPowersOfTwo) {
  std::vector<std::int64_t> sizes(260);
  std::iota(sizes.begin(), sizes.end(), 1);
  for (const std::int64_t n : {511, 512, 513, 1000, 1023, 1024, 1025, 4095, 4097, 10007}) sizes.push_back(n);
  for (const std::int64_t n : sizes) {
    std::vector<bool> seen(static_cast<std::size_t>(n), false);
    for (const std::int64_t value : all_of(n, 42, 3)) {
      ASSERT_GE(value, 0);
      ASSERT_LT(value, n) << "n = " << n;
      ASSERT_FALSE(seen[static_cast<std::size_t>(value)]) << "n = " << n << ", value " << value << " twice";
      seen[static_cast<std::size_t>(value)] = true;
    }
  }
}

TEST(KeyedPermutation, SeedAndEpochGiveOtherOrders) {
  EXPECT_EQ(all_of(1000, 1, 0), all_of(1000, 1, 0));
  EXPECT_NE(all_of(1000, 1, 0), all_of(1000, 2, 0));
  EXPECT_NE(all_of(1000, 1, 0), all_of(1000, 1, 1));
}

TEST(KeyedPermutation, LeavesNoTraceOfTheOldOrder) {
  // Neighbours of a random order of n differ by n/3 on average, and one element in n stays where it was.
  const std::int64_t n = 10000;
  const std::vector<std::int64_t> values = all_of(n, 7, 0);
  double distance = 0;
  int fixed = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    fixed += values[i] == static_cast<std::int64_t>(i);
    if (i > 0) distance += static_cast<double>(std::abs(values[i] - values[i - 1]));
  }
  // Standard deviation of the mean distance: n·√(1/18)/√n ≈ 24 (neighbouring terms are nearly independent); five of them.
  EXPECT_NEAR(distance / static_cast<double>(n - 1), static_cast<double>(n) / 3, 120);
  EXPECT_LE(fixed, 8);  // Poisson with mean 1: above 8 once in a million
}

TEST(KeyedPermutation, WorksAtTheLargestSize) {
  const std::int64_t n = std::int64_t{1} << 62;
  const KeyedPermutation permutation(n, 1, 4000000000u);
  for (const std::int64_t i : {std::int64_t{0}, std::int64_t{1}, n - 1}) {
    EXPECT_GE(permutation(i), 0);
    EXPECT_LT(permutation(i), n);
  }
  EXPECT_NE(permutation(0), permutation(1));
}

}  // namespace
}  // namespace longhaul::data
