// kernels/optimizer/optimizer_family.h — the per-family bodies of kernels/optimizer/optimizer.h, each over one range of elements.
#pragma once

#include "kernels/family.h"
#include "kernels/optimizer/optimizer.h"

namespace longhaul::kernels {

/// Σ a² and Σ b² of a block of two gradient leaves.
struct LeafSquares {
  double a = 0, b = 0;
};

struct OptimizerTable {
  void (*adamw)(const AdamWScalars& scalars, float* weight, float* moment1, float* moment2, const float* gradient, bf16* copy,
                float* average, float ema_beta, float ema_one_minus_beta, std::int64_t count);
  double (*sum_of_squares)(const float* x, std::int64_t count);  ///< one block
  void (*add_into)(float* a, const float* b, std::int64_t count);
  LeafSquares (*add_into_squares)(float* a, const float* b, std::int64_t count);             ///< one block
  double (*sum_of_squared_differences)(const float* x, const float* y, std::int64_t count);  ///< Σ (x − y)² of one block
};
LONGHAUL_FAMILY_TABLE(OptimizerTable, optimizer_table)

}  // namespace longhaul::kernels
