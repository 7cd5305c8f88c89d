// kernels/product/gemm_family.h — what a family supplies to the matrix product: packing into panels and the product of packed panels.
//
// A panel holds `width` rows of A (or columns of B) as 32-bit words, step after step along k: words[step * width + i]. One step is one
// k of fma (an fp32), or one pair of dp2: natively a word with the even element below and the odd one above; emulated, two steps of fp32,
// the odd element first, so that the product is the fma order over the packed words.
#pragma once

#include <cstdint>

#include "kernels/family.h"
#include "kernels/product/gemm.h"

namespace longhaul::kernels {

/// Words that a store may spill behind a panel: panels lie at least this much further apart than their content.
inline constexpr std::int64_t kPanelSlack = 16;

/// Packs k in [k0, k0 + k_count) of `panels` panels from row i0 on. Pairs start at k0; an odd last element is paired with zero.
struct PackJob {
  const void* data;  ///< element (i, k) at data[i*i_stride + k*k_stride], one stride 1
  std::int64_t i_stride, k_stride;
  std::int64_t extent;  ///< rows that exist; a panel's missing rows become zeros
  std::int64_t i0, k0, k_count;
  int width, panels;
  float* out;  ///< where the first panel's step of k0 goes
  std::int64_t panel_stride;
};

/// C of `rows` × `cols` from packed panels of `a_width` rows and `b_width` columns (a multiple of 16).
struct ProductJob {
  const float *a, *b;
  std::int64_t a_stride, b_stride;  ///< from panel to panel
  int a_width, b_width;
  std::int64_t rows, cols, steps;
  float* c;
  std::int64_t c_stride;
  bool from_zero;  ///< chains start at +0, else from C
};

/// One order on one family.
struct GemmKernel {
  int a_width, b_width;  ///< largest panels of A and B
  int steps_per_unit;    ///< packed steps per k (fma) or pair (dp2)
  void (*pack)(const PackJob& job);
  void (*product)(const ProductJob& job);
};
struct GemmTable {
  GemmKernel fma, dp2;
};
LONGHAUL_FAMILY_TABLE(GemmTable, gemm_table)

/// Whether VDPBF16PS takes less time than two multiply-adds on this processor, which must have it. Measured once a process.
bool native_pairs_pay();

/// The kernel that gemm() takes: that of the family, except that dp2 on avx512_bf16 is emulated where VDPBF16PS is slower than the two
/// multiply-adds it stands for (Sapphire Rapids: half as fast). Measured once a process; the bits are the same.
const GemmKernel& gemm_kernel(Family family, Order order);

/// gemm() by a kernel of one's own choice.
void gemm_with(const GemmKernel& kernel, const Context& context, MatrixView a, MatrixView b, float* c, std::int64_t c_stride,
               bool accumulate, std::int64_t k_restart);

}  // namespace longhaul::kernels
