// kernels/attention/attention_panel.inc.h — small matrix products on packed panels, and the packing. Included by attention_family.cpp only.
//
// A panel's element is a *unit* of 32 bits along the summed index: a float (Style::fma, Style::pairs) or two bf16 (Style::native). So
// the three ways to compute a chain differ in one step of the inner loop and in how operands become units, nowhere else:
//   fma     f32 operands, one fused multiply-add a unit, rising;
//   pairs   bf16 operands widened to floats, units 2i+1 then 2i: order dp2 without the instruction;
//   native  VDPBF16PS: order dp2 with it.
// Chains padded with zeros stay as they are (up to the sign of a zero, which the results drop), so counts are rounded up freely.
#pragma once

namespace longhaul::kernels::LONGHAUL_FAMILY {
namespace {

using Index = std::int64_t;

enum class Style { fma, pairs, native };

template <Style S>
constexpr Index units(Index n) {
  return S == Style::native ? (n + 1) / 2 : S == Style::pairs ? (n + 1) / 2 * 2 : n;
}
constexpr Index round_up(Index n, Index multiple) { return (n + multiple - 1) / multiple * multiple; }

constexpr Index kTile = 64;
#ifdef __AVX512F__
constexpr int kColumnVectors = 4;  // 6×4 accumulators, 4 vectors of B and a broadcast of A fill 32 registers
#else
constexpr int kColumnVectors = 1;  // 6×2 half vectors of 16 registers
#endif

template <Style S, int R, int N>
LONGHAUL_INLINE void multiply_unit(F32x16 (&acc)[R][N], const float* a, Index a_stride, const float* b) {
  F32x16 column[N];
#pragma GCC unroll 4
  for (int n = 0; n < N; ++n) column[n] = F32x16::load(b + 16 * n);
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
    const F32x16 row = splat(a[r * a_stride]);
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) {
#ifdef __AVX512BF16__
      if constexpr (S == Style::native) {
        acc[r][n].v = _mm512_dpbf16_ps(acc[r][n].v, (__m512bh)row.v, (__m512bh)column[n].v);
        continue;
      }
#endif
      acc[r][n] = fma(row, column[n], acc[r][n]);
    }
  }
}

// C[R, 16·N] = chain over `depth` units of A[R, depth]·B[depth, 16·N], started from C when `accumulate`, else from +0.
template <Style S, int R, int N>
void multiply_block(const float* a, Index a_stride, const float* b, Index b_stride, float* c, Index c_stride, Index depth,
                    bool accumulate) {
  F32x16 acc[R][N];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) acc[r][n] = accumulate ? F32x16::load(c + r * c_stride + 16 * n) : F32x16::zero();
  }
  if constexpr (S == Style::pairs) {
    for (Index u = 0; u < depth; u += 2) {
      multiply_unit<S>(acc, a + u + 1, a_stride, b + (u + 1) * b_stride);
      multiply_unit<S>(acc, a + u, a_stride, b + u * b_stride);
    }
  } else {
    for (Index u = 0; u < depth; ++u) multiply_unit<S>(acc, a + u, a_stride, b + u * b_stride);
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) acc[r][n].store(c + r * c_stride + 16 * n);
  }
}

struct Panels {
  const float* a;
  Index a_stride;
  const float* b;
  Index b_stride;
  float* c;
  Index c_stride;
};

template <Style S, int N>
void multiply_columns(const Panels& p, Index rows, Index depth, bool accumulate) {
  // As many rows as make about 24 accumulators: fewer do not cover the latency of the multiply-add.
  constexpr int kRows = N == 4 || kColumnVectors == 1 ? 6 : N == 3 ? 8 : N == 2 ? 12 : 16;
  Index r = 0;
  const auto block = [&](auto run) {
    run(p.a + r * p.a_stride, p.a_stride, p.b, p.b_stride, p.c + r * p.c_stride, p.c_stride, depth, accumulate);
  };
  for (; r + kRows <= rows; r += kRows) block(multiply_block<S, kRows, N>);
  for (; r + 4 <= rows; r += 4) block(multiply_block<S, 4, N>);
  for (; r + 2 <= rows; r += 2) block(multiply_block<S, 2, N>);
}

// C[rows, 16·vectors] by blocks; rows even.
template <Style S>
void multiply(Panels p, Index rows, Index vectors, Index depth, bool accumulate) {
  while (vectors > 0) {
    const Index step = vectors < kColumnVectors ? vectors : kColumnVectors;
    if constexpr (kColumnVectors > 1) {
      if (step == 4) multiply_columns<S, 4>(p, rows, depth, accumulate);
      if (step == 3) multiply_columns<S, 3>(p, rows, depth, accumulate);
      if (step == 2) multiply_columns<S, 2>(p, rows, depth, accumulate);
    }
    if (step == 1) multiply_columns<S, 1>(p, rows, depth, accumulate);
    p.b += 16 * step;
    p.c += 16 * step;
    vectors -= step;
  }
}

LONGHAUL_INLINE void transpose8(const float* in, Index in_stride, float* out, Index out_stride) {
  __m256 r[8], s[8];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) r[i] = _mm256_loadu_ps(in + i * in_stride);
#pragma GCC unroll 4
  for (int i = 0; i < 8; i += 2) {
    s[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
    s[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
  }
#pragma GCC unroll 2
  for (int i = 0; i < 8; i += 4) {
    r[i] = _mm256_shuffle_ps(s[i], s[i + 2], 0x44);
    r[i + 1] = _mm256_shuffle_ps(s[i], s[i + 2], 0xee);
    r[i + 2] = _mm256_shuffle_ps(s[i + 1], s[i + 3], 0x44);
    r[i + 3] = _mm256_shuffle_ps(s[i + 1], s[i + 3], 0xee);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    _mm256_storeu_ps(out + i * out_stride, _mm256_permute2f128_ps(r[i], r[i + 4], 0x20));
    _mm256_storeu_ps(out + (i + 4) * out_stride, _mm256_permute2f128_ps(r[i], r[i + 4], 0x31));
  }
}

// out[columns, rows] = in[rows, columns]ᵀ of 32-bit elements; both multiples of 8.
void transpose(const float* in, Index in_stride, Index rows, Index columns, float* out, Index out_stride) {
  for (Index i = 0; i < rows; i += 8) {
    for (Index j = 0; j < columns; j += 8) transpose8(in + i * in_stride + j, in_stride, out + j * out_stride + i, out_stride);
  }
}

// 64 rows of `width` operands, `stride` elements apart, as units: out[64][units(round_up(width, 16))], zeros beyond `rows` and `width`.
template <Style S>
void pack_rows(const void* source, Index stride, Index rows, Index width, float* out) {
  const Index out_stride = units<S>(round_up(width, 16));
  for (Index r = 0; r < kTile; ++r) {
    float* row = out + r * out_stride;
    for (Index d = 0; d < width; d += 16) {
      const int n = r >= rows ? 0 : width - d < 16 ? static_cast<int>(width - d) : 16;
      if constexpr (S == Style::fma) {
        const float* x = static_cast<const float*>(source) + r * stride + d;
        (n == 16 ? F32x16::load(x) : n == 0 ? F32x16::zero() : F32x16::load_partial(x, n)).store(row + d);
      } else {
        const bf16* x = static_cast<const bf16*>(source) + r * stride + d;
        const F32x16 floats = n == 16 ? F32x16::load(x) : n == 0 ? F32x16::zero() : F32x16::load_partial(x, n);
        if constexpr (S == Style::pairs)
          floats.store(row + d);
        else
          floats.store(reinterpret_cast<bf16*>(row) + d);
      }
    }
  }
}

// a and b, already rounded to bf16, as units (a below b).
LONGHAUL_INLINE F32x16 join(F32x16 a, F32x16 b) { return as_float(shift_right<16>(as_int(a)) | as_int(b)); }

// x rounded to bf16, as floats. For values computed from bf16 operands only: their NaNs have zeros in the lower half, as the processor's
// own NaN has, so that no carry turns a NaN into a number and no test for it is needed (fp32 from outside goes through pack_rounded).
LONGHAUL_INLINE F32x16 to_bf16_grid(F32x16 x) {
  const I32x16 u = as_int(x);
  const I32x16 odd = shift_right<16>(u) & I32x16::splat(1);
  return as_float((u + odd + I32x16::splat(0x7fff)) & I32x16::splat(-0x10000));
}
template <Style S>
LONGHAUL_INLINE F32x16 to_operand(F32x16 x) {
  return S == Style::fma ? x : to_bf16_grid(x);
}

// pack_rows from fp32, rounded once to the operand type.
template <Style S>
void pack_rounded(const float* source, Index stride, Index rows, Index width, float* out) {
  const Index out_stride = units<S>(round_up(width, 16));
  for (Index r = 0; r < kTile; ++r) {
    float* row = out + r * out_stride;
    for (Index d = 0; d < width; d += 16) {
      const int n = r >= rows ? 0 : width - d < 16 ? static_cast<int>(width - d) : 16;
      const float* x = source + r * stride + d;
      const F32x16 floats = n == 16 ? F32x16::load(x) : n == 0 ? F32x16::zero() : F32x16::load_partial(x, n);
      if constexpr (S == Style::fma) {
        floats.store(row + d);
      } else if constexpr (S == Style::native) {
        floats.store(reinterpret_cast<bf16*>(row) + d);
      } else {
        bf16 rounded[16];
        floats.store(rounded);
        F32x16::load(rounded).store(row + d);
      }
    }
  }
}

// Rows summed over: from pack_rows' [64][units(padded)] to [units(64)][padded], pairs of rows joined where a unit holds two.
template <Style S>
void join_rows(const float* in, Index padded, float* out) {
  const Index in_stride = units<S>(padded);
  for (Index r = 0; r < units<S>(kTile); ++r) {
    for (Index d = 0; d < padded; d += 16) {
      F32x16 x;
      if constexpr (S == Style::native) {
        const bf16* even = reinterpret_cast<const bf16*>(in + 2 * r * in_stride) + d;
        x = join(F32x16::load(even), F32x16::load(even + 2 * in_stride));
      } else {
        x = F32x16::load(in + r * in_stride + d);
      }
      x.store(out + r * padded + d);
    }
  }
}

}  // namespace
}  // namespace longhaul::kernels::LONGHAUL_FAMILY
