// kernels/statements/elementary_scalar.h — the elementary functions of kernels/elementary/elementary.h, one float at a time: what they
// compute, to the bit.
//
// These are the statements that docs/numerics.md and the tests go by; no kernel calls them. They assume round to nearest and, for
// results and arguments below 2^-126, FTZ and DAZ (set_floating_point_environment).
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "kernels/elementary/elementary_constants.h"

namespace longhaul::kernels::scalar {

inline std::int32_t bits(float x) { return std::bit_cast<std::int32_t>(x); }
inline float from_bits(std::uint32_t x) { return std::bit_cast<float>(x); }

template <int N>
float horner(float x, const float (&coefficients)[N]) {
  float sum = coefficients[0];
  for (int i = 1; i < N; ++i) sum = std::fma(sum, x, coefficients[i]);
  return sum;
}

inline float expm1_reduced(float r) { return std::fma(r * r, horner(r, elementary_constants::kExp), r); }

inline float reduce_exp(float x, float n) {
  namespace c = elementary_constants;
  return std::fma(-n, c::kLn2Low, std::fma(-n, c::kLn2High, x));
}

/// p·2^n, n in the low bits of `shifted`.
inline float scale_exp(float p, float shifted) {
  return from_bits(static_cast<std::uint32_t>(bits(p)) + (static_cast<std::uint32_t>(bits(shifted)) << 23));
}

inline float exp(float x) {
  namespace c = elementary_constants;
  if (!(x <= c::kExpMax)) return x + c::kInfinity;
  if (x < c::kExpMin) return 0.0f;
  const float shifted = std::fma(x, c::kLog2E, c::kRound);
  return scale_exp(1.0f + expm1_reduced(reduce_exp(x, shifted - c::kRound)), shifted);
}

inline float exp2(float x) {
  namespace c = elementary_constants;
  if (!(x < 128.0f)) return x + c::kInfinity;
  if (x < -126.0f) return 0.0f;
  const float shifted = x + c::kRound;
  return scale_exp(1.0f + expm1_reduced((x - (shifted - c::kRound)) * c::kLn2), shifted);
}

inline float log(float x) {
  namespace c = elementary_constants;
  if (!(x < c::kInfinity)) return x + x;
  if (x < 0.0f) return c::kNan;
  if (x < c::kSmallest) return -c::kInfinity;
  const std::int32_t exponent = (bits(x) - c::kHalfSqrtBits) >> 23;
  const float f = from_bits(static_cast<std::uint32_t>(bits(x)) - (static_cast<std::uint32_t>(exponent) << 23)) - 1.0f;
  const float k = static_cast<float>(exponent);
  const float z = f * f;
  const float y = std::fma(-0.5f, z, std::fma(k, c::kLn2Low, (f * z) * horner(f, c::kLog)));
  return std::fma(k, c::kLn2High, f + y);
}

inline float tanh(float x) {
  namespace c = elementary_constants;
  const float a = std::fabs(x) > c::kTanhOne ? c::kTanhOne : std::fabs(x);
  const float twice = a + a;
  const float shifted = std::fma(twice, c::kLog2E, c::kRound);
  const float q = expm1_reduced(reduce_exp(twice, shifted - c::kRound));
  const float power = from_bits((static_cast<std::uint32_t>(bits(shifted)) << 23) + 0x3f800000u);
  const float e = std::fma(power, q, power - 1.0f);
  return std::copysign(e / (e + 2.0f), x);
}

inline float sigmoid(float x) { return 1.0f / (1.0f + exp(-x)); }

inline float sine_of_quarter(float x, std::int32_t odd_first) {
  namespace c = elementary_constants;
  if (!(std::fabs(x) <= c::kAngleMax)) return c::kNan;
  const float shifted = std::fma(x, c::kTwoOverPi, c::kRound);
  const float n = shifted - c::kRound;
  const float r = std::fma(-n, c::kHalfPi3, std::fma(-n, c::kHalfPi2, std::fma(-n, c::kHalfPi1, x)));
  const std::int32_t quarter = bits(shifted) + odd_first;
  const float z = r * r;
  const float value =
      (quarter & 1) == 0 ? std::fma(r * z, horner(z, c::kSin), r) : std::fma(z * z, horner(z, c::kCos), std::fma(-0.5f, z, 1.0f));
  return (quarter & 2) == 0 ? value : -value;
}
inline float sin(float x) { return sine_of_quarter(x, 0); }
inline float cos(float x) { return sine_of_quarter(x, 1); }

inline float erf(float x) {
  namespace c = elementary_constants;
  const float a = std::fabs(x) > 4.0f ? 4.0f : std::fabs(x);
  const float value = a < 1.0f ? std::fma(a, horner(a * a, c::kErfSmall), a) : 1.0f - exp(horner(a, c::kErfLarge));
  return std::copysign(value, x);
}

inline float rsqrt(float x) { return 1.0f / std::sqrt(x); }

}  // namespace longhaul::kernels::scalar
