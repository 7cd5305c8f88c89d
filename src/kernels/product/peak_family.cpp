#include "kernels/product/peak_family.h"

#include "kernels/product/gemm_step.inc.h"
#include "kernels/vectors/simd.h"

namespace longhaul::kernels::LONGHAUL_FAMILY {
namespace {

// Keeps a value in registers and unknown to the optimizer.
LONGHAUL_INLINE void hide(F32x16& x) {
#ifdef __AVX512F__
  asm volatile("" : "+v"(x.v));
#else
  asm volatile("" : "+v"(x.a), "+v"(x.b));
#endif
}

template <typename Step>
double chains(std::int64_t steps, float* keep) {
  F32x16 sum[kRows][kVectors], left = F32x16::splat(1.0078125f), right = F32x16::splat(0.0f);
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 3
    for (int j = 0; j < kVectors; ++j) sum[i][j] = F32x16::zero();
  }
  hide(left);
  hide(right);
  for (std::int64_t k = 0; k < steps; ++k) {
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 3
      for (int j = 0; j < kVectors; ++j) sum[i][j] = Step::apply(left, right, sum[i][j]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 3
      for (int j = 0; j < kVectors; ++j) hide(sum[i][j]);
    }
  }
  F32x16 total = F32x16::zero();
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {  // unrolled like the rest: an index at run time would move all sums to memory
#pragma GCC unroll 3
    for (int j = 0; j < kVectors; ++j) total = total + sum[i][j];
  }
  *keep = reduce_tree(total);
  return 2.0 * kRows * kColumns * static_cast<double>(steps);
}

double fma_chains(std::int64_t steps, float* keep) { return chains<FmaStep>(steps, keep); }
double dp2_chains(std::int64_t steps, float* keep) { return chains<Dp2Step>(steps, keep) * (2.0 / kStepsPerPair); }

float read(const float* a, std::int64_t count) {
  F32x16 sum[4] = {F32x16::zero(), F32x16::zero(), F32x16::zero(), F32x16::zero()};
  for (std::int64_t i = 0; i < count; i += 64) {
    for (int j = 0; j < 4; ++j) sum[j] = sum[j] + F32x16::load(a + i + 16 * j);
  }
  return reduce_tree((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

void copy(float* a, const float* b, std::int64_t count) {
  for (std::int64_t i = 0; i < count; i += 16) F32x16::load(b + i).store(a + i);
}

void triad(float* a, const float* b, const float* c, float s, std::int64_t count) {
  const F32x16 factor = F32x16::splat(s);
  for (std::int64_t i = 0; i < count; i += 16) fma(factor, F32x16::load(c + i), F32x16::load(b + i)).store(a + i);
}

}  // namespace

extern const PeakTable peak_table = {fma_chains, dp2_chains, read, copy, triad};

}  // namespace longhaul::kernels::LONGHAUL_FAMILY
