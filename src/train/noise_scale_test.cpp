#include "train/noise_scale.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>
#include <vector>

namespace longhaul::train {
namespace {

// A quadratic loss ½|θ − x|² over normal x: G = θ − mean, Σ = σ²·1, so B_simple = d·σ²/|G|² is known.
TEST(NoiseScale, KnownQuadraticWithinFivePercent) {  // accounting A8
  constexpr int kDim = 40, kSmall = 8, kSteps = 1000;
  constexpr double kSigma = 2, kOffset = 0.5;
  const double golden = kDim * kSigma * kSigma / (kDim * kOffset * kOffset);
  const std::vector<std::int64_t> targets = {900, 1100, 1000, 1000, 700, 1300, 1000, 1000};  // unmasked, of shares of kSmall sequences
  std::mt19937_64 random(7);
  std::normal_distribution<double> normal(0, kSigma / std::sqrt(double{kSmall}));
  NoiseScale scale;
  EXPECT_FALSE(scale.sequences());
  for (int step = 0; step < kSteps; ++step) {
    std::vector<double> whole(kDim, 0);
    std::vector<LeafGradient> leaves;
    for (const std::int64_t n : targets) {
      const double share = static_cast<double>(n) / 8000;  // an accumulator carries 1/(targets of the whole batch)
      leaves.push_back({0, n});
      for (double& mean : whole) {
        const double g = kOffset + normal(random);
        leaves.back().norm_squared += g * share * g * share;
        mean += g / static_cast<double>(targets.size());
      }
    }
    double big = 0;
    for (const double g : whole) big += g * g;
    scale.add(noise_parts(leaves, big, kSmall * std::ssize(targets)).value());
  }
  ASSERT_TRUE(scale.sequences());
  EXPECT_NEAR(*scale.sequences() / golden, 1, 0.05);
  EXPECT_NEAR(scale.mean().trace / (kDim * kSigma * kSigma), 1, 0.05);
  // Exact norms give it exactly: |G_B|² = |G|² + trΣ/B.
  const NoiseParts exact = noise_parts(8, 10 + 160.0 / 8, 64, 10 + 160.0 / 64);
  EXPECT_NEAR(exact.gradient_squared, 10, 1e-12);
  EXPECT_NEAR(exact.trace, 160, 1e-12);
}

TEST(NoiseScale, NeedsTwoSharesWithTargetsAndFiniteNorms) {
  const std::vector<LeafGradient> two = {{0.3, 10}, {0.2, 30}};
  EXPECT_TRUE(noise_parts(two, 0.7, 8));
  EXPECT_FALSE(noise_parts(std::vector<LeafGradient>{{0.3, 10}}, 0.3, 8));
  EXPECT_FALSE(noise_parts(std::vector<LeafGradient>{{0.3, 10}, {0, 0}}, 0.3, 8));
  EXPECT_FALSE(noise_parts(two, std::numeric_limits<double>::infinity(), 8));
}

TEST(NoiseScale, AveragesSurviveACheckpointBitForBit) {
  NoiseScale scale;
  for (const double x : {1.0 / 3, 0.7, 1e-9}) scale.add({x, 100 * x});
  const nlohmann::json document = to_json(scale);
  NoiseScale again = noise_scale_from_json(document);
  EXPECT_EQ(to_json(again), document);
  scale.add({0.1, 5});
  again.add({0.1, 5});
  EXPECT_EQ(again.sequences(), scale.sequences());
  EXPECT_EQ(again.steps(), 4);
}

TEST(NoiseScale, IsAbsentWhileTheMeanGradientIsNotAboveZero) {
  NoiseScale scale;
  scale.add({-1, 10});
  EXPECT_FALSE(scale.sequences());
  EXPECT_DOUBLE_EQ(scale.mean().gradient_squared, -1);
}

}  // namespace
}  // namespace longhaul::train
