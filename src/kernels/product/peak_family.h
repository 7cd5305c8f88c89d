// kernels/product/peak_family.h — the loops behind peak.h, one set per family.
#pragma once

#include <cstdint>

#include "kernels/family.h"

namespace longhaul::kernels {

struct PeakTable {
  /// Run `steps` steps of the GEMM's inner loop without memory; return the floating-point operations of the order, and a value that keeps
  /// them alive.
  double (*fma)(std::int64_t steps, float* keep);
  double (*dp2)(std::int64_t steps, float* keep);
  /// count is a multiple of 64.
  float (*read)(const float* a, std::int64_t count);
  void (*copy)(float* a, const float* b, std::int64_t count);
  void (*triad)(float* a, const float* b, const float* c, float s, std::int64_t count);
};
LONGHAUL_FAMILY_TABLE(PeakTable, peak_table)

}  // namespace longhaul::kernels
