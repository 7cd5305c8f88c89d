// kernels/elementary/elementary.h — exp, exp2, log, tanh, sigmoid, sin, cos, erf and rsqrt of sixteen fp32 lanes, from IEEE operations
// alone.
//
// Libraries' versions and the processors' approximations (rsqrtps, rcpps) differ between vendors; these are sequences of +, ×, ÷, √ and
// fused multiply-adds, so every family returns the bits of the scalar statements in kernels/statements/elementary_scalar.h
// (docs/numerics.md, Elementary functions). Error bounds over the whole range, in ulp: exp, exp2 1.01; log 1; tanh, sigmoid, erf 3; sin,
// cos 2 up to |x| = 100,000 (NaN beyond). Results below 2^-126 are zero and arguments below it count as zero (FTZ, DAZ). Include only from
// x_family.cpp.
#pragma once

#include "kernels/elementary/elementary_constants.h"
#include "kernels/vectors/simd.h"

namespace longhaul::kernels::LONGHAUL_FAMILY {
namespace {

template <int N>
LONGHAUL_INLINE F32x16 horner(F32x16 x, const float (&coefficients)[N]) {
  F32x16 sum = splat(coefficients[0]);
  for (int i = 1; i < N; ++i) sum = fma(sum, x, splat(coefficients[i]));
  return sum;
}

/// (e^r - 1) for |r| ≤ 0.35.
LONGHAUL_INLINE F32x16 expm1_reduced(F32x16 r) { return fma(r * r, horner(r, elementary_constants::kExp), r); }

/// x - n·ln 2 in two pieces.
LONGHAUL_INLINE F32x16 reduce_exp(F32x16 x, F32x16 n) {
  namespace c = elementary_constants;
  return fnma(n, splat(c::kLn2Low), fnma(n, splat(c::kLn2High), x));
}

LONGHAUL_INLINE F32x16 exp(F32x16 x) {
  namespace c = elementary_constants;
  const F32x16 shifted = fma(x, splat(c::kLog2E), splat(c::kRound));  // its low bits hold n, the nearest integer
  const F32x16 p = splat(1.0f) + expm1_reduced(reduce_exp(x, shifted - splat(c::kRound)));
  const F32x16 y = as_float(as_int(p) + shift_left<23>(as_int(shifted)));
  const F32x16 finite = select(x < splat(c::kExpMin), F32x16::zero(), y);
  return select(x <= splat(c::kExpMax), finite, x + splat(c::kInfinity));  // x + inf: inf, or NaN for NaN
}

LONGHAUL_INLINE F32x16 exp2(F32x16 x) {
  namespace c = elementary_constants;
  const F32x16 shifted = x + splat(c::kRound);
  const F32x16 p = splat(1.0f) + expm1_reduced((x - (shifted - splat(c::kRound))) * splat(c::kLn2));
  const F32x16 y = as_float(as_int(p) + shift_left<23>(as_int(shifted)));
  const F32x16 finite = select(x < splat(-126.0f), F32x16::zero(), y);
  return select(x < splat(128.0f), finite, x + splat(c::kInfinity));
}

/// Natural logarithm: -inf at 0, NaN below.
LONGHAUL_INLINE F32x16 log(F32x16 x) {
  namespace c = elementary_constants;
  const I32x16 exponent = shift_right_signed<23>(as_int(x) - I32x16::splat(c::kHalfSqrtBits));
  const F32x16 f = as_float(as_int(x) - shift_left<23>(exponent)) - splat(1.0f);  // mantissa in [√½, √2), minus 1
  const F32x16 k = to_float(exponent);
  const F32x16 z = f * f;
  F32x16 y = fma(k, splat(c::kLn2Low), (f * z) * horner(f, c::kLog));
  y = fma(splat(-0.5f), z, y);
  y = fma(k, splat(c::kLn2High), f + y);
  y = select(x < splat(c::kSmallest), splat(-c::kInfinity), y);
  y = select(x < F32x16::zero(), splat(c::kNan), y);
  return select(x < splat(c::kInfinity), y, x + x);
}

/// (e^(2|x|) - 1) / (e^(2|x|) - 1 + 2) with the sign of x; one polynomial serves the whole range.
LONGHAUL_INLINE F32x16 tanh(F32x16 x) {
  namespace c = elementary_constants;
  const F32x16 a = min(splat(c::kTanhOne), abs(x));
  const F32x16 twice = a + a;
  const F32x16 shifted = fma(twice, splat(c::kLog2E), splat(c::kRound));
  const F32x16 q = expm1_reduced(reduce_exp(twice, shifted - splat(c::kRound)));
  const F32x16 power = as_float(shift_left<23>(as_int(shifted)) + I32x16::splat(0x3f800000));
  const F32x16 e = fma(power, q, power - splat(1.0f));
  return copysign(e / (e + splat(2.0f)), x);
}

/// 1 / (1 + e^-x).
LONGHAUL_INLINE F32x16 sigmoid(F32x16 x) { return splat(1.0f) / (splat(1.0f) + exp(-x)); }

/// sin (odd_first = 0) or cos (1) of x: the polynomial of the quarter turn, with its sign.
LONGHAUL_INLINE F32x16 sine_of_quarter(F32x16 x, std::int32_t odd_first) {
  namespace c = elementary_constants;
  const F32x16 shifted = fma(x, splat(c::kTwoOverPi), splat(c::kRound));
  const F32x16 n = shifted - splat(c::kRound);
  const F32x16 r = fnma(n, splat(c::kHalfPi3), fnma(n, splat(c::kHalfPi2), fnma(n, splat(c::kHalfPi1), x)));
  const I32x16 quarter = as_int(shifted) + I32x16::splat(odd_first);
  const F32x16 z = r * r;
  const F32x16 sine = fma(r * z, horner(z, c::kSin), r);
  const F32x16 cosine = fma(z * z, horner(z, c::kCos), fma(splat(-0.5f), z, splat(1.0f)));
  const F32x16 value = select((quarter & I32x16::splat(1)) == I32x16::zero(), sine, cosine);
  const F32x16 with_sign = as_float(as_int(value) ^ shift_left<30>(quarter & I32x16::splat(2)));
  return select(abs(x) <= splat(c::kAngleMax), with_sign, splat(c::kNan));
}
LONGHAUL_INLINE F32x16 sin(F32x16 x) { return sine_of_quarter(x, 0); }
LONGHAUL_INLINE F32x16 cos(F32x16 x) { return sine_of_quarter(x, 1); }

LONGHAUL_INLINE F32x16 erf(F32x16 x) {
  namespace c = elementary_constants;
  const F32x16 a = min(splat(4.0f), abs(x));
  const F32x16 small = fma(a, horner(a * a, c::kErfSmall), a);
  const F32x16 large = splat(1.0f) - exp(horner(a, c::kErfLarge));
  return copysign(select(a < splat(1.0f), small, large), x);
}

LONGHAUL_INLINE F32x16 rsqrt(F32x16 x) { return splat(1.0f) / sqrt(x); }

}  // namespace
}  // namespace longhaul::kernels::LONGHAUL_FAMILY
