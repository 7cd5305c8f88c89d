#include "kernels/elementary/elementary64.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace longhaul::kernels {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// ln 2 = high + low; high has 32 bits, so that n·high is exact for |n| < 2^21.
constexpr double kLn2High = 0x1.62e42fee00000p-1;
constexpr double kLn2Low = 0x1.a39ef35793c76p-33;
constexpr double kLog2E = 0x1.71547652b82fep+0;
// π/2 = first + second + third; 33 bits each in the first two, so that n·first and n·second are exact for |n| < 2^20.
constexpr double kHalfPi1 = 0x1.921fb54400000p+0;
constexpr double kHalfPi2 = 0x1.0b4611a600000p-34;
constexpr double kHalfPi3 = 0x1.3198a2e037073p-69;
constexpr double kTwoOverPi = 0x1.45f306dc9c883p-1;

// Adding and subtracting 1.5·2^52 rounds to the nearest integer (even on ties).
constexpr double kRound = 0x1.8p52;
double round_to_integer(double x) { return (x + kRound) - kRound; }

template <std::size_t N>
double horner(double x, const double (&coefficients)[N]) {
  double sum = coefficients[0];
  for (std::size_t i = 1; i < N; ++i) sum = std::fma(sum, x, coefficients[i]);
  return sum;
}

// Taylor, 1/k!: with |r| ≤ ln 2 / 2 the first term left out is r^14/14! < 5e-18.
constexpr double kExp[] = {1.0 / 6227020800.0, 1.0 / 479001600.0, 1.0 / 39916800.0, 1.0 / 3628800.0, 1.0 / 362880.0, 1.0 / 40320.0,
                           1.0 / 5040.0,       1.0 / 720.0,       1.0 / 120.0,      1.0 / 24.0,      1.0 / 6.0,      0.5};
// log m = 2 atanh(s), s = (m-1)/(m+1), |s| < 0.1716: 2s·(1 + z/3 + z²/5 …), z = s²; the first term left out is z^13/27 < 5e-22.
constexpr double kLog[] = {2.0 / 25, 2.0 / 23, 2.0 / 21, 2.0 / 19, 2.0 / 17, 2.0 / 15,
                           2.0 / 13, 2.0 / 11, 2.0 / 9,  2.0 / 7,  2.0 / 5,  2.0 / 3};
// Taylor on |r| ≤ π/4: terms left out are below r^20/20! < 4e-21 (cos) and r^19/19! < 1e-19 (sin).
constexpr double kSin[] = {1.0 / 355687428096000.0, -1.0 / 1307674368000.0, 1.0 / 6227020800.0, -1.0 / 39916800.0,
                           1.0 / 362880.0,          -1.0 / 5040.0,          1.0 / 120.0,        -1.0 / 6.0};
constexpr double kCos[] = {-1.0 / 6402373705728000.0, 1.0 / 20922789888000.0, -1.0 / 87178291200.0, 1.0 / 479001600.0,
                           -1.0 / 3628800.0,          1.0 / 40320.0,          -1.0 / 720.0,         1.0 / 24.0};

struct Pair {
  double high, low;
};

/// log x to about 2^-59 of itself, for finite x ≥ 2^-1022; high is the rounded value.
Pair log_pair(double x) {
  constexpr std::uint64_t kHalfSqrt = 0x3fe6a09e667f3bcd;  // √½: the mantissa is taken in [√½, √2)
  const std::uint64_t bits = std::bit_cast<std::uint64_t>(x);
  const std::int64_t exponent = static_cast<std::int64_t>(bits - kHalfSqrt) >> 52;
  const double m = std::bit_cast<double>(bits - (static_cast<std::uint64_t>(exponent) << 52));
  const double k = static_cast<double>(exponent);
  const double f = m - 1.0;  // exact
  const double d = 1.0 + m;
  const double d_low = m >= 1.0 ? 1.0 - (d - m) : m - (d - 1.0);
  const double s = f / d;
  const double s_low = std::fma(-s, d_low, std::fma(-s, d, f)) / d;
  const double z = s * s;
  const double a = k * kLn2High, b = 2.0 * s;
  const double sum = a + b;
  const double rounding = k == 0.0 ? 0.0 : b - (sum - a);  // |a| > |b| unless k = 0
  const double low = rounding + std::fma(k, kLn2Low, std::fma(s * z, horner(z, kLog), 2.0 * s_low));
  const double high = sum + low;
  return {high, low - (high - sum)};
}

/// x = n·π/2 + r + low, |r| ≤ π/4.
struct Reduced {
  double r, low;
  std::uint64_t quadrant;
};

Reduced reduce_angle(double x) {
  const double n = round_to_integer(x * kTwoOverPi);
  const double first = std::fma(-n, kHalfPi1, x);  // exact
  const double second = std::fma(-n, kHalfPi2, first);
  const double tail = std::fma(-n, kHalfPi3, std::fma(-n, kHalfPi2, first - second));  // what rounding `second` lost, and the rest of π/2
  const double r = second + tail;
  return {r, tail - (r - second), static_cast<std::uint64_t>(static_cast<std::int64_t>(n)) & 3};
}

double sin_polynomial(double r, double low) {
  const double z = r * r;
  return r + std::fma(r * z, horner(z, kSin), std::fma(-0.5 * z, low, low));
}

double cos_polynomial(double r, double low) {
  const double z = r * r;
  const double half = 0.5 * z, one_minus = 1.0 - half;
  // (1 - half) loses half's last bits: (1 - one_minus) - half gives them back.
  return one_minus + std::fma(z * z, horner(z, kCos), std::fma(-r, low, (1.0 - one_minus) - half));
}

}  // namespace

double exp64(double x) {
  if (x != x) return x;
  if (x > 709.782712893384) return kInfinity;
  if (x < -708.39) return 0.0;  // ln 2^-1022 = -708.396…: below it, and in the last half percent above, zero
  const double n = round_to_integer(x * kLog2E);
  const double r = std::fma(-n, kLn2Low, std::fma(-n, kLn2High, x));
  const double p = 1.0 + std::fma(r * r, horner(r, kExp), r);
  const std::uint64_t shift = static_cast<std::uint64_t>(static_cast<std::int64_t>(n)) << 52;
  return std::bit_cast<double>(std::bit_cast<std::uint64_t>(p) + shift);
}

double log64(double x) {
  if (x != x || x == kInfinity) return x;
  if (x < 0.0) return kNan;
  if (x < std::numeric_limits<double>::min()) return -kInfinity;
  return log_pair(x).high;
}

double pow64(double x, double y) {
  if (y == 0.0 || x == 1.0) return 1.0;
  if (x != x || y != y || x < 0.0) return kNan;
  if (x < std::numeric_limits<double>::min()) return y > 0.0 ? 0.0 : kInfinity;
  if (x == kInfinity || y == kInfinity || y == -kInfinity) return (x > 1.0) == (y > 0.0) ? kInfinity : 0.0;
  const Pair logarithm = log_pair(x);
  const double high = y * logarithm.high;
  const double power = exp64(high);
  if (power == 0.0 || power == kInfinity) return power;
  return std::fma(power, std::fma(y, logarithm.low, std::fma(y, logarithm.high, -high)), power);
}

SineCosine sincos64(double x) {
  if (!(x >= -kMaxAngle64 && x <= kMaxAngle64)) return {kNan, kNan};
  const Reduced a = reduce_angle(x);
  const double s = sin_polynomial(a.r, a.low), c = cos_polynomial(a.r, a.low);
  switch (a.quadrant) {
    case 0:
      return {s, c};
    case 1:
      return {c, -s};
    case 2:
      return {-s, -c};
    default:
      return {-c, s};
  }
}

double cos64(double x) { return sincos64(x).cosine; }

}  // namespace longhaul::kernels
