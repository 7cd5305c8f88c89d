// kernels/product/gemm_step.inc.h — the inner step of the matrix product and its register blocking, shared by the product and by the peak
// that it is measured against. Included by family code only.
#pragma once

#include "kernels/vectors/simd.h"

namespace longhaul::kernels::LONGHAUL_FAMILY {
namespace {

// All accumulators, one step of B and one word of A stay in registers: 9×48 of 32 zmm (27 + 3 + 1) or 6×16 of 16 ymm (12 + 2 + 1). Per
// multiply-add 9×48 loads less than 14×32 (12 loads for 27, not 16 for 28), which was 10 % faster where two threads share a core.
#ifdef __AVX512F__
constexpr int kRows = 9, kVectors = 3;
#else
constexpr int kRows = 6, kVectors = 1;
#endif
constexpr int kColumns = 16 * kVectors;

// What one packed word of A times 16 words of B does.
struct FmaStep {
  static LONGHAUL_INLINE F32x16 apply(F32x16 a, F32x16 b, F32x16 c) { return fma(a, b, c); }
};
#ifdef __AVX512BF16__
// A word is a pair. VDPBF16PS: the odd product is added first, then the even one, each rounded once; denormals are flushed.
struct Dp2Step {
  static LONGHAUL_INLINE F32x16 apply(F32x16 a, F32x16 b, F32x16 c) {
    return {_mm512_dpbf16_ps(c.v, (__m512bh)_mm512_castps_si512(a.v), (__m512bh)_mm512_castps_si512(b.v))};
  }
};
constexpr int kStepsPerPair = 1;
#else
// A pair is packed as two steps of fp32, the odd element first.
using Dp2Step = FmaStep;
constexpr int kStepsPerPair = 2;
#endif

}  // namespace
}  // namespace longhaul::kernels::LONGHAUL_FAMILY
