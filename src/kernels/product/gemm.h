// kernels/product/gemm.h — the one ordered matrix product: every output element is one chain over k, whatever the shape, blocking or
// threads.
//
// fma (f32 operands): c = fma(a[k], b[k], c), k rising. dp2 (bf16 operands, VDPBF16PS): per pair (2i, 2i+1) of k,
// c = fma(a[2i+1], b[2i+1], c), then c = fma(a[2i], b[2i], c); an odd tail is padded with zeros. Bits are those of the scalar
// statement in kernels/statements/gemm_statement.h on every family, thread count and blocking.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/context.h"

namespace longhaul::kernels {

/// A strided view of a GEMM operand: element (i, j) is at data[i*row_stride + j*col_stride]; one of the strides is 1.
struct MatrixView {
  const void* data;
  ElementType dtype;
  std::int64_t rows, cols;
  std::int64_t row_stride, col_stride;
  MatrixView transposed() const { return {data, dtype, cols, rows, col_stride, row_stride}; }
};
inline MatrixView row_major(const void* data, ElementType dtype, std::int64_t rows, std::int64_t cols) {
  return {data, dtype, rows, cols, cols, 1};
}

/// C[i,j] = chain over k of A[i,k]·B[k,j], started from C[i,j] when `accumulate`, else from +0.
/// A: [M,K], B: [K,N], C: [M,N] fp32 with row stride c_stride (elements).
/// k_restart > 0: pairs of dp2 restart at each multiple of k_restart along k, padded with zeros (k = tokens, k_restart = sequence_length);
/// 0: pairs run over the whole of K.
void gemm(const Context& context, MatrixView a, MatrixView b, float* c, std::int64_t c_stride, bool accumulate, std::int64_t k_restart = 0);

/// Bytes that the first gemm() of a thread allocates and keeps for packed operands (context.pool's workers need none of their own).
std::size_t gemm_workspace_bytes();

}  // namespace longhaul::kernels
