#include "scaling/noise_scale.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace longhaul::scaling {
namespace {

// A quadratic loss ½|θ − x|² over normal x: G = θ − mean, Σ = σ²·1, so B_simple = d·σ²/|G|² is known.
TEST(NoiseScale, KnownQuadraticWithinFivePercent) {  // accounting A8
  constexpr int kDim = 40, kSmall = 8, kPieces = 8, kSteps = 4000;
  constexpr double kSigma = 2, kOffset = 0.5;
  const double golden = kDim * kSigma * kSigma / (kDim * kOffset * kOffset);
  std::mt19937_64 random(7);
  std::normal_distribution<double> normal(0, kSigma / std::sqrt(double{kSmall}));
  NoiseScale scale(kSmall, kSmall * kPieces, 0.999);
  EXPECT_FALSE(scale.value());
  for (int step = 0; step < kSteps; ++step) {
    std::vector<double> whole(kDim, 0);
    double small = 0;
    for (int piece = 0; piece < kPieces; ++piece)
      for (double& mean : whole) {
        const double g = kOffset + normal(random);
        small += g * g / kPieces, mean += g / kPieces;
      }
    double big = 0;
    for (const double g : whole) big += g * g;
    scale.add(small, big);
  }
  ASSERT_TRUE(scale.value());
  EXPECT_NEAR(*scale.value() / golden, 1, 0.05);
  // Exact norms give it exactly: |G_B|² = |G|² + trΣ/B.
  const NoiseParts exact = noise_parts(8, 10 + 160.0 / 8, 64, 10 + 160.0 / 64);
  EXPECT_NEAR(exact.gradient_squared, 10, 1e-12);
  EXPECT_NEAR(exact.trace, 160, 1e-12);
}

}  // namespace
}  // namespace longhaul::scaling
