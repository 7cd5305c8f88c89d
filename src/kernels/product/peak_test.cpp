#include "kernels/product/peak.h"

#include <gtest/gtest.h>

namespace longhaul::kernels {
namespace {

TEST(Peak, RatesArePlausibleAndWiderVectorsAreNotSlower) {
  ThreadPool pool(1);
  const double avx2 = matmul_peak({pool, Family::avx2, Order::fma}, 0.02);
  EXPECT_GT(avx2, 1e9) << "a 256-bit multiply-add every 16 ns";
  EXPECT_LT(avx2, 1e12) << "more than any core has: the loop was optimized away";
  if (supported(Family::avx512)) {
    const double avx512 = matmul_peak({pool, Family::avx512, Order::fma}, 0.02);
    EXPECT_GT(avx512, 0.5 * avx2);
    EXPECT_LT(avx512, 8 * avx2);
  }
  if (supported(Family::avx512_bf16)) {
    const double dp2 = matmul_peak({pool, Family::avx512_bf16, Order::dp2}, 0.02);
    EXPECT_GT(dp2, 1e9);
    EXPECT_LT(dp2, 4e12);
  }
}

TEST(Peak, BandwidthsArePositiveAndBelowAnyMemory) {
  ThreadPool pool(2);
  const MemoryBandwidth rates = memory_bandwidth({pool, best_family(), Order::fma}, std::size_t{16} << 20, 0.01);
  for (double rate : {rates.read, rates.copy, rates.triad}) {
    EXPECT_GT(rate, 1e8);
    EXPECT_LT(rate, 1e13);
  }
}

}  // namespace
}  // namespace longhaul::kernels
