// kernels/vectors/simd.h — sixteen virtual lanes: the vectors that per-family code is written in (contract: "16 virtual lanes").
//
// F32x16, I32x16 and Mask16 are one 512-bit register on avx512 and two 256-bit registers on avx2; F64x8, I64x8 and Mask8 are their double
// halves. Every operation is exactly rounded IEEE arithmetic or integer arithmetic, so both give the same bits; approximations (rsqrt, rcp)
// are left out on purpose. min(a, b) and max(a, b) return b when either is NaN, as the instructions do. Include only from
// x_family.cpp (kernels/family.h says how to add a kernel).
//
// load_partial(p, n) reads n of 16 elements, 0 <= n <= 16, never touches memory behind them, and fills with +0; store_partial is its twin.
// Operators: + - * / and unary minus; fma(a, b, c) = a*b + c, fnma(a, b, c) = c - a*b, each rounded once.
// Comparisons (< <= > >= ==) give masks (& | ~ any all); select(mask, a, b) takes a where the mask is set.
#pragma once

#ifndef LONGHAUL_FAMILY
#error "kernels/vectors/simd.h belongs to code compiled once per family: see kernels/family.h"
#endif

#include <immintrin.h>

#include <cstdint>

#include "kernels/context.h"

// Family code must not leave copies of inline functions behind, not even in debug builds.
#define LONGHAUL_INLINE inline __attribute__((always_inline))

#ifdef __AVX512F__
#include "kernels/vectors/simd_avx512.inc.h"
#else
#include "kernels/vectors/simd_avx2.inc.h"
#endif

namespace longhaul::kernels::LONGHAUL_FAMILY {
namespace {

LONGHAUL_INLINE F32x16 splat(float x) { return F32x16::splat(x); }
LONGHAUL_INLINE F32x16 abs(F32x16 a) { return as_float(as_int(a) & I32x16::splat(0x7fffffff)); }
LONGHAUL_INLINE F32x16 operator-(F32x16 a) { return as_float(as_int(a) ^ I32x16::splat(INT32_MIN)); }
/// |magnitude| with the sign of `sign`.
LONGHAUL_INLINE F32x16 copysign(F32x16 magnitude, F32x16 sign) {
  return as_float((as_int(magnitude) & I32x16::splat(0x7fffffff)) | (as_int(sign) & I32x16::splat(INT32_MIN)));
}
/// 2^n for -126 <= n <= 127 (exact; the exponent field is written directly).
LONGHAUL_INLINE F32x16 exp2_int(I32x16 n) { return as_float(shift_left<23>(n + I32x16::splat(127))); }

LONGHAUL_INLINE F64x8 splat64(double x) { return F64x8::splat(x); }
LONGHAUL_INLINE F64x8 abs(F64x8 a) { return as_double(as_int(a) & I64x8::splat(INT64_MAX)); }
LONGHAUL_INLINE F64x8 operator-(F64x8 a) { return as_double(as_int(a) ^ I64x8::splat(INT64_MIN)); }

/// Sixteen doubles: elements 0–7 and 8–15.
struct F64x16 {
  F64x8 low, high;
  static LONGHAUL_INLINE F64x16 splat(double x) { return {F64x8::splat(x), F64x8::splat(x)}; }
  static LONGHAUL_INLINE F64x16 zero() { return splat(0.0); }
};
LONGHAUL_INLINE F64x16 widen(F32x16 a) { return {widen_low(a), widen_high(a)}; }
/// Rounded to nearest even, once.
LONGHAUL_INLINE F32x16 narrow(F64x16 a) { return narrow(a.low, a.high); }
LONGHAUL_INLINE F64x16 operator+(F64x16 a, F64x16 b) { return {a.low + b.low, a.high + b.high}; }
LONGHAUL_INLINE F64x16 operator-(F64x16 a, F64x16 b) { return {a.low - b.low, a.high - b.high}; }
LONGHAUL_INLINE F64x16 operator*(F64x16 a, F64x16 b) { return {a.low * b.low, a.high * b.high}; }
LONGHAUL_INLINE F64x16 fma(F64x16 a, F64x16 b, F64x16 c) { return {fma(a.low, b.low, c.low), fma(a.high, b.high, c.high)}; }
/// The fixed tree over 16 lanes.
LONGHAUL_INLINE double reduce_tree(F64x16 a) { return reduce_tree(a.low) + reduce_tree(a.high); }

/// Scalar twins of the conversions, for code that meets single elements.
LONGHAUL_INLINE float to_float(bf16 x) { return __builtin_bit_cast(float, static_cast<std::uint32_t>(x.bits) << 16); }
LONGHAUL_INLINE bf16 to_bf16(float x) {
  const std::uint32_t u = __builtin_bit_cast(std::uint32_t, x);
  if ((u & 0x7fffffffu) > 0x7f800000u) return {static_cast<std::uint16_t>((u >> 16) | 0x40u)};
  return {static_cast<std::uint16_t>((u + 0x7fffu + ((u >> 16) & 1u)) >> 16)};
}

}  // namespace
}  // namespace longhaul::kernels::LONGHAUL_FAMILY
