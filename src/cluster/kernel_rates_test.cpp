#include "cluster/kernel_rates.h"

#include <gtest/gtest.h>

#include <cmath>

namespace longhaul::cluster {
namespace {

/// A machine whose products take exactly the terms of the trend, for which there is a formula: 100 GFLOP/s, 1 ns to pack an element, 2 ns
/// for one of the result, 20 µs a call.
double seconds_of_product(double m, double n, double k) { return 2 * m * n * k / 1e11 + 1e-9 * (m * k + n * k) + 2e-9 * m * n + 2e-5; }

KernelRates measured_products() {
  KernelRates rates;
  for (std::int64_t m : {64, 512, 4096})
    for (std::int64_t n : {64, 1024})
      for (std::int64_t k : {128, 2048})
        rates.add({{Kernel::gemm_nn, {m, n, k, 1, 1}},
                   Seconds(seconds_of_product(static_cast<double>(m), static_cast<double>(n), static_cast<double>(k)))});
  return rates;
}

TEST(KernelRates, AMeasuredShapeTakesTheTimeMeasured) {
  KernelRates rates = measured_products();
  rates.add({{Kernel::gemm_nn, {333, 77, 55, 1, 1}}, Seconds(0.125)});
  EXPECT_EQ(rates.time({Kernel::gemm_nn, {333, 77, 55, 1, 1}})->value, 0.125);
  EXPECT_TRUE(rates.measured({Kernel::gemm_nn, {333, 77, 55, 1, 1}}));
  EXPECT_FALSE(rates.measured({Kernel::gemm_nt, {333, 77, 55, 1, 1}}));
}

TEST(KernelRates, TheTrendRecoversItsTermsBetweenAndBeyondThePoints) {
  const KernelRates rates = measured_products();
  for (const auto& [m, n, k] : {std::array{128, 300, 777}, {8192, 8192, 8192}, {64, 64, 64}, {4096, 50257, 768}}) {
    const double expected = seconds_of_product(m, n, k);
    EXPECT_NEAR(rates.time({Kernel::gemm_nn, {m, n, k, 1, 1}})->value, expected, 1e-6 * expected) << m << " " << n << " " << k;
  }
}

TEST(KernelRates, ARateSaturatesAndNeverFallsBelowNothing) {
  // Times that no sum of positive terms gives: large products are timed too fast for what small ones take.
  KernelRates rates;
  for (int i = 0; i < 12; ++i) {
    const std::int64_t n = std::int64_t{32} << i / 2;
    rates.add({{Kernel::gemm_tn, {n, n, 64 + i, 1, 1}}, Seconds(1e-4 * std::pow(n, 0.5))});
  }
  double before = 0;
  for (std::int64_t n = 16; n < 1 << 16; n *= 2) {
    const double now = rates.time({Kernel::gemm_tn, {n, n, 64, 1, 1}})->value;
    EXPECT_GT(now, before) << n;
    before = now;
  }
}

TEST(KernelRates, CachesAreFollowedBetweenPointsOfOneKernel) {
  // 1 ns an element in caches, 4 ns outside.
  KernelRates rates;
  rates.add({{Kernel::add, {1 << 16, 1, 1, 1, 1}}, Seconds(1e-9 * (1 << 16))});
  rates.add({{Kernel::add, {1 << 24, 1, 1, 1, 1}}, Seconds(4e-9 * (1 << 24))});
  const auto per_element = [&](std::int64_t count) {
    return rates.time({Kernel::add, {count, 1, 1, 1, 1}})->value / static_cast<double>(count);
  };
  EXPECT_NEAR(per_element(1 << 17), 1e-9, 0.01e-9);
  EXPECT_NEAR(per_element(1 << 20), 2e-9, 1e-12) << "half-way in the logarithm, between both";
  EXPECT_NEAR(per_element(1 << 23), 4e-9, 0.04e-9);
  EXPECT_NEAR(per_element(1 << 30), 4e-9, 0.5e-9) << "beyond the last point";
}

TEST(KernelRates, AnUnmeasuredKernelHasNoTime) { EXPECT_FALSE(measured_products().time({Kernel::adamw, {1000, 1, 1, 1, 1}}).has_value()); }

TEST(KernelRates, ALongCallIsCutAlongItsBatch) {
  const KernelCall weight_gradient{Kernel::gemm_tn, {768, 3072, 4096, 1, 1}};
  EXPECT_EQ(at_most(weight_gradient, 3e9), (KernelCall{Kernel::gemm_tn, {768, 3072, 1024, 1, 1}}));
  EXPECT_EQ(at_most(weight_gradient, 1e12), weight_gradient);
  EXPECT_EQ(at_most(weight_gradient, 3.1e8), (KernelCall{Kernel::gemm_tn, {768, 1536, 256, 1, 1}})) << "then along its longest axis";
  EXPECT_EQ(at_most({Kernel::attention_forward, {4, 1 << 17, 32, 8, 128}}, 1e10),
            (KernelCall{Kernel::attention_forward, {1, 1 << 10, 32, 8, 128}}));
  EXPECT_EQ(at_most(weight_gradient, 0.5), (KernelCall{Kernel::gemm_tn, {1, 1, 1, 1, 1}}));
}

TEST(KernelRates, EveryKernelHasANameOfItsOwn) {
  for (int i = 0; i < kKernels; ++i) {
    const KernelInfo& kernel = info(static_cast<Kernel>(i));
    EXPECT_EQ(kernel_named(kernel.name), kernel.kernel);
    EXPECT_LT(kernel.batch_axis, std::ssize(kernel.axes));
  }
  EXPECT_FALSE(kernel_named("gemm").has_value());
}

}  // namespace
}  // namespace longhaul::cluster
