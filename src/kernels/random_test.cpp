#include "kernels/random.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <vector>

namespace longhaul::kernels {
namespace {

using Block = std::array<std::uint32_t, 4>;

// Random123's kat_vectors, "philox4x32 10".
TEST(Philox, PublishedKnownAnswers) {
  EXPECT_EQ(philox4x32_10({0, 0, 0, 0}, {0, 0}), (Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32_10({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}), (Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32_10({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, StreamsOfSeedsPurposesAndIndicesDiffer) {
  const Block base = philox(7, Purpose::initialisation, 5, 0);
  EXPECT_NE(base, philox(8, Purpose::initialisation, 5, 0));
  EXPECT_NE(base, philox(7 + (std::uint64_t{1} << 32), Purpose::initialisation, 5, 0));
  EXPECT_NE(base, philox(7, Purpose::dropout, 5, 0));
  EXPECT_NE(base, philox(7, Purpose::initialisation, 5 + (std::uint64_t{1} << 32), 0));
  EXPECT_NE(base, philox(7, Purpose::initialisation, 5, 1));
  EXPECT_EQ(base, philox4x32_10({5, 0, 0, 1}, {7, 0}));
}

TEST(Uniform, LiesInTheHalfOpenIntervalWithTheRightMoments) {
  constexpr int kCount = 100000;
  double sum = 0, squares = 0;
  for (int i = 0; i < kCount; ++i) {
    const double u = uniform(3, Purpose::synthetic_data, static_cast<std::uint64_t>(i));
    ASSERT_GE(u, 0.0);
    ASSERT_LT(u, 1.0);
    sum += u, squares += u * u;
  }
  // Five standard errors: σ = √(1/12), and √(4/45) for the squares.
  EXPECT_NEAR(sum / kCount, 0.5, 5 * 0.2887 / std::sqrt(kCount));
  EXPECT_NEAR(squares / kCount, 1.0 / 3.0, 5 * 0.2981 / std::sqrt(kCount));
}

TEST(Normal, ElementsDependOnTheirIndexAlone) {
  ThreadPool one(1), three(3);
  constexpr std::int64_t kCount = 40001;
  std::vector<float> whole(kCount), parts(kCount);
  fill_normal({one, Family::avx2, Order::fma}, 11, 1000, 0.02, whole.data(), kCount);
  for (const std::int64_t cut : {std::int64_t{1}, std::int64_t{12345}, kCount - 1}) {
    fill_normal({three, best_family(), Order::dp2}, 11, 1000, 0.02, parts.data(), cut);
    fill_normal({three, best_family(), Order::dp2}, 11, 1000 + static_cast<std::uint64_t>(cut), 0.02, parts.data() + cut, kCount - cut);
    for (std::int64_t i = 0; i < kCount; ++i)
      ASSERT_EQ(std::bit_cast<std::uint32_t>(whole[i]), std::bit_cast<std::uint32_t>(parts[i])) << i;
  }
}

TEST(Normal, HasTheMomentsOfAGaussian) {
  ThreadPool pool(2);
  constexpr std::int64_t kCount = 400000;
  std::vector<float> x(kCount);
  fill_normal({pool, best_family(), Order::fma}, 5, 0, 2.0, x.data(), kCount);
  double moment[5] = {}, neighbours = 0;
  for (std::int64_t i = 0; i < kCount; ++i) {
    const double z = static_cast<double>(x[i]) / 2;
    for (int k = 1; k <= 4; ++k) moment[k] += std::pow(z, k) / kCount;
    if (i > 0) neighbours += z * static_cast<double>(x[i - 1]) / 2 / kCount;
  }
  const double error = 5 / std::sqrt(static_cast<double>(kCount));  // five standard errors of a unit variance
  EXPECT_NEAR(moment[1], 0.0, error);
  EXPECT_NEAR(moment[2], 1.0, error * std::sqrt(2.0));
  EXPECT_NEAR(moment[3], 0.0, error * std::sqrt(15.0));
  EXPECT_NEAR(moment[4], 3.0, error * std::sqrt(96.0));
  EXPECT_NEAR(neighbours, 0.0, error);
}

}  // namespace
}  // namespace longhaul::kernels
