// kernels/statements/gemm_statement.h — the ordered matrix product, one element at a time: what gemm() computes, to the bit.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "kernels/product/gemm.h"
#include "kernels/statements/scalar_statement.h"

namespace longhaul::kernels::statement {

/// Parameters as of gemm().
inline void gemm(Order order, MatrixView a, MatrixView b, float* c, std::int64_t c_stride, bool accumulate, std::int64_t k_restart = 0) {
  set_floating_point_environment();
  const std::int64_t k = a.cols, segment = k_restart > 0 ? k_restart : k;
  for (std::int64_t i = 0; i < a.rows; ++i) {
    for (std::int64_t j = 0; j < b.cols; ++j) {
      float sum = accumulate ? c[i * c_stride + j] : 0.0f;
      for (std::int64_t begin = 0; begin < k; begin += segment) {
        const auto left = [&](std::int64_t x) { return load_operand(order, a.data, i * a.row_stride + (begin + x) * a.col_stride); };
        const auto right = [&](std::int64_t x) { return load_operand(order, b.data, (begin + x) * b.row_stride + j * b.col_stride); };
        sum = chain(order, sum, std::min(segment, k - begin), left, right);
      }
      c[i * c_stride + j] = sum;
    }
  }
}

}  // namespace longhaul::kernels::statement
