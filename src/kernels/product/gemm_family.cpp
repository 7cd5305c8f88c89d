// Packing and the register-blocked product, once per family.
#include "kernels/product/gemm_family.h"

#include "kernels/product/gemm_step.inc.h"
#include "kernels/vectors/simd.h"

namespace longhaul::kernels::LONGHAUL_FAMILY {
namespace {

// ---- Packing.

// Words as they come out of memory, to words as they are packed.
struct F32Words {
  static constexpr int kElements = 1, kSteps = 1;
  using Element = float;
  static LONGHAUL_INLINE I32x16 load(const float* p) { return as_int(F32x16::load(p)); }
  static LONGHAUL_INLINE I32x16 load_partial(const float* p, std::int64_t n) {
    return as_int(F32x16::load_partial(p, static_cast<int>(n)));
  }
  static LONGHAUL_INLINE void store(I32x16 word, float* out, std::int64_t) { as_float(word).store(out); }
};
struct Bf16Words {
  static constexpr int kElements = 2;
  using Element = bf16;
  static LONGHAUL_INLINE I32x16 load(const bf16* p) { return I32x16::load(reinterpret_cast<const std::int32_t*>(p)); }
  static LONGHAUL_INLINE I32x16 load_partial(const bf16* p, std::int64_t n) {
    bf16 padded[32] = {};
    for (std::int64_t i = 0; i < n; ++i) padded[i] = p[i];
    return load(padded);
  }
  static constexpr int kSteps = kStepsPerPair;
#ifdef __AVX512BF16__
  static LONGHAUL_INLINE void store(I32x16 word, float* out, std::int64_t) { as_float(word).store(out); }
#else
  static LONGHAUL_INLINE void store(I32x16 word, float* out, std::int64_t width) {
    as_float(word & I32x16::splat(static_cast<std::int32_t>(0xffff0000u))).store(out);
    as_float(shift_left<16>(word)).store(out + width);
  }
#endif
};

LONGHAUL_INLINE std::int64_t smaller(std::int64_t a, std::int64_t b) { return a < b ? a : b; }

// Rows contiguous along k: 16×16 words are transposed in registers.
template <typename Words>
void pack_k_contiguous(const PackJob& job) {
  const auto* data = static_cast<const typename Words::Element*>(job.data);
  constexpr int kBlock = 16 * Words::kElements;
  for (int panel = 0; panel < job.panels; ++panel) {
    for (int group = 0; group < job.width; group += 16) {
      const std::int64_t first = job.i0 + static_cast<std::int64_t>(panel) * job.width + group;
      const std::int64_t rows = smaller(smaller(16, job.width - group), job.extent - first);
      float* out = job.out + panel * job.panel_stride + group;
      for (std::int64_t k = 0; k < job.k_count; k += kBlock) {
        I32x16 words[16];
        const auto* source = data + first * job.i_stride + job.k0 + k;
        const std::int64_t left = smaller(kBlock, job.k_count - k);
        if (rows == 16 && left == kBlock) {
#pragma GCC unroll 16
          for (int i = 0; i < 16; ++i) words[i] = Words::load(source + i * job.i_stride);
        } else {
          for (int i = 0; i < 16; ++i) {
            if (i >= rows)
              words[i] = I32x16::zero();
            else
              words[i] = left == kBlock ? Words::load(source + i * job.i_stride) : Words::load_partial(source + i * job.i_stride, left);
          }
        }
        transpose16(words);
        const int steps = static_cast<int>((left + Words::kElements - 1) / Words::kElements);
        for (int s = 0; s < steps; ++s) {
          Words::store(words[s], out, job.width);
          out += Words::kSteps * job.width;
        }
      }
    }
  }
}

// Rows contiguous along i: a step of k is copied, or two are interleaved.
LONGHAUL_INLINE I32x16 step_words(const float* even, const float*, std::int64_t n) {
  return as_int(n >= 16 ? F32x16::load(even) : F32x16::load_partial(even, static_cast<int>(n)));
}
LONGHAUL_INLINE I32x16 step_words(const bf16* even, const bf16* odd, std::int64_t n) {
  const int count = static_cast<int>(n);
  const F32x16 low = n >= 16 ? F32x16::load(even) : F32x16::load_partial(even, count);
  if (odd == nullptr) return shift_right<16>(as_int(low));
  const F32x16 high = n >= 16 ? F32x16::load(odd) : F32x16::load_partial(odd, count);
  return as_int(high) | shift_right<16>(as_int(low));
}

template <typename Words>
void pack_i_contiguous(const PackJob& job) {
  const auto* data = static_cast<const typename Words::Element*>(job.data);
  float* out = job.out;
  for (std::int64_t k = 0; k < job.k_count; k += Words::kElements) {
    const auto* even = data + job.i0 + (job.k0 + k) * job.k_stride;
    const auto* odd = Words::kElements == 2 && k + 1 < job.k_count ? even + job.k_stride : nullptr;
    for (int panel = 0; panel < job.panels; ++panel) {
      for (int group = 0; group < job.width; group += 16) {
        const std::int64_t offset = static_cast<std::int64_t>(panel) * job.width + group;
        const std::int64_t exist = job.extent - job.i0 - offset;
        const I32x16 words = exist <= 0 ? I32x16::zero() : step_words(even + offset, odd == nullptr ? nullptr : odd + offset, exist);
        Words::store(words, out + panel * job.panel_stride + group, job.width);
      }
    }
    out += Words::kSteps * job.width;
  }
}

template <typename Words>
void pack(const PackJob& job) {
  if (job.k_stride == 1)
    pack_k_contiguous<Words>(job);
  else
    pack_i_contiguous<Words>(job);
}

// ---- Product.

// One tile: Rows × Vectors·16 chains in registers over all steps. `last` columns of the last vector exist. `next` is the tile that follows:
// its C is asked for while this one computes, since a chain cannot start before its C arrives.
template <typename Step, int Rows, int Vectors>
void tile(const float* a, int a_width, const float* b, int b_width, std::int64_t steps, float* c, std::int64_t c_stride, int last,
          bool from_zero, const float* next) {
  F32x16 sum[Rows][Vectors];
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 3
    for (int j = 0; j < Vectors; ++j) {
      if (from_zero)
        sum[i][j] = F32x16::zero();
      else
        sum[i][j] = F32x16::load_partial(c + i * c_stride + 16 * j, j + 1 == Vectors ? last : 16);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) {
    for (int j = 0; j < Vectors; ++j) __builtin_prefetch(next + i * c_stride + 16 * j, 1);
  }
  for (std::int64_t k = 0; k < steps; ++k) {
    F32x16 right[Vectors];
#pragma GCC unroll 3
    for (int j = 0; j < Vectors; ++j) right[j] = F32x16::load(b + 16 * j);
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i) {
      const F32x16 left = F32x16::splat(a[i]);
#pragma GCC unroll 3
      for (int j = 0; j < Vectors; ++j) sum[i][j] = Step::apply(left, right[j], sum[i][j]);
    }
    a += a_width;
    b += b_width;
  }
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 3
    for (int j = 0; j < Vectors; ++j) sum[i][j].store_partial(c + i * c_stride + 16 * j, j + 1 == Vectors ? last : 16);
  }
}

using Tile = void (*)(const float*, int, const float*, int, std::int64_t, float*, std::int64_t, int, bool, const float*);

// kTiles<Step>.of[rows - 1][vectors - 1].
struct TileTable {
  Tile of[kRows][kVectors];
};
template <typename Step, int Rows>
constexpr void fill(TileTable& table) {
  table.of[Rows - 1][0] = tile<Step, Rows, 1>;
  if constexpr (kVectors > 1) table.of[Rows - 1][1] = tile<Step, Rows, 2>;
  if constexpr (kVectors > 2) table.of[Rows - 1][2] = tile<Step, Rows, 3>;
  if constexpr (Rows > 1) fill<Step, Rows - 1>(table);
}
template <typename Step>
constexpr TileTable all_tiles() {
  TileTable table{};
  fill<Step, kRows>(table);
  return table;
}
template <typename Step>
constexpr TileTable kTiles = all_tiles<Step>();

// The depth of a pass: a panel of B (48 KiB at 48 columns) fills the first-level cache while panels of A stream past it, and the job's
// part of C stays in the second-level cache from pass to pass.
constexpr std::int64_t kPassSteps = 256;

template <typename Step>
void product(const ProductJob& job) {
  for (std::int64_t k = 0; k < job.steps; k += kPassSteps) {
    const std::int64_t steps = smaller(kPassSteps, job.steps - k);
    const bool from_zero = job.from_zero && k == 0;
    for (std::int64_t j = 0; j < job.cols; j += job.b_width) {
      const int columns = static_cast<int>(smaller(job.b_width, job.cols - j)), vectors = (columns + 15) / 16;
      const float* b = job.b + j / job.b_width * job.b_stride + k * job.b_width;
      const float* a = job.a + k * job.a_width;
      for (std::int64_t i = 0; i < job.rows; i += job.a_width) {
        const int rows = static_cast<int>(smaller(job.a_width, job.rows - i));
        float* c = job.c + i * job.c_stride + j;
        const float* next = i + 2 * job.a_width <= job.rows ? c + job.a_width * job.c_stride : job.c + j + job.b_width;
        const int last = columns - 16 * (vectors - 1);
        kTiles<Step>.of[rows - 1][vectors - 1](a, job.a_width, b, job.b_width, steps, c, job.c_stride, last, from_zero, next);
        a += job.a_stride;
      }
    }
  }
}

}  // namespace

extern const GemmTable gemm_table = {
    {kRows, kColumns, 1, pack<F32Words>, product<FmaStep>},
    {kRows, kColumns, Bf16Words::kSteps, pack<Bf16Words>, product<Dp2Step>},
};

}  // namespace longhaul::kernels::LONGHAUL_FAMILY
