// kernels/probes/simd_probe.h — the vectors of simd.h behind plain functions, so that a test can compare families; no other use.
#pragma once

#include <cstdint>

#include "kernels/family.h"

namespace longhaul::kernels {

/// Every member reads 16 elements per operand and writes 16 (or returns one) unless it says otherwise.
struct SimdProbe {
  void (*arithmetic)(const float* a, const float* b, const float* c, float* out);     ///< out: 14 results of 16
  void (*comparisons)(const float* a, const float* b, std::int32_t* out);             ///< out: 6 results of 16, 1 or 0
  void (*integers)(const std::int32_t* a, const std::int32_t* b, std::int32_t* out);  ///< out: 9 results of 16
  void (*doubles)(const double* a, const double* b, const double* c, double* out);    ///< out: 8 results of 8
  void (*round_bf16)(const float* a, bf16* out, int n);
  void (*widen_bf16)(const bf16* a, float* out, int n);
  void (*copy_partial)(const float* a, float* out, int n);
  float (*reduce_tree)(const float* a);
  float (*reduce_max)(const float* a);
  double (*reduce_tree_double)(const float* a);  ///< widened, squared, then the tree
  void (*narrow)(const double* a, float* out);
};
LONGHAUL_FAMILY_TABLE(SimdProbe, simd_probe)

}  // namespace longhaul::kernels
