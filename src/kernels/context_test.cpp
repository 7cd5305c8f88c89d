#include "kernels/context.h"

#include <gtest/gtest.h>

#include <atomic>
#include <limits>
#include <vector>

namespace longhaul::kernels {
namespace {

TEST(ThreadPool, CallsEachIndexOnceForEveryThreadCount) {
  for (int threads : {1, 2, 3, 5}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    for (std::int64_t count : {0, 1, 2, 3, 17, 1000}) {
      std::vector<std::atomic<int>> calls(static_cast<std::size_t>(count));
      pool.run(count, [&](std::int64_t index, int thread) {
        EXPECT_GE(thread, 0);
        EXPECT_LT(thread, threads);
        calls[static_cast<std::size_t>(index)].fetch_add(1);
      });
      for (const std::atomic<int>& n : calls) EXPECT_EQ(n.load(), 1);
    }
  }
}

TEST(ThreadPool, ManyShortRunsInARowLoseNothing) {
  ThreadPool pool(3);
  std::atomic<std::int64_t> sum{0};
  for (int run = 0; run < 5000; ++run) pool.run(3, [&](std::int64_t index, int) { sum.fetch_add(index + 1); });
  EXPECT_EQ(sum.load(), 5000 * 6);
}

TEST(ThreadPool, EveryThreadFlushesDenormals) {
  ThreadPool pool(2);
  std::atomic<int> flushed{0};
  pool.run(64, [&](std::int64_t, int) {
    volatile float tiny = std::numeric_limits<float>::min();
    volatile float half = 0.5f, denormal = std::numeric_limits<float>::denorm_min(), large = 1e30f;
    flushed += (tiny * half == 0.0f) && (denormal * large == 0.0f);
  });
  EXPECT_EQ(flushed.load(), 64);
}

TEST(Family, TheBestOneIsSupportedAndNamed) {
  EXPECT_TRUE(supported(best_family()));
  EXPECT_TRUE(supported(Family::avx2)) << "the build needs x86-64-v3";
  EXPECT_EQ(name(Family::avx512_bf16), "avx512_bf16");
  EXPECT_EQ(name(Order::dp2), "dp2");
}

}  // namespace
}  // namespace longhaul::kernels
