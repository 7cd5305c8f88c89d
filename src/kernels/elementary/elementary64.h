// kernels/elementary/elementary64.h — exp, log, pow, sin and cos in double from IEEE operations alone: schedules, rotation tables,
// initialisation.
//
// A C library's versions differ between libraries, releases and processors; these are sequences of +, ×, ÷ and fused multiply-adds, so
// every machine that keeps IEEE 754 returns the same bits. Accuracy: under 1 ulp, pow under 2 (against long double: see the tests).
// sqrt and division are IEEE's own: use the language's. Results below 2^-1022 are flushed to zero, as everywhere (FTZ).
#pragma once

namespace longhaul::kernels {

/// e^x; 0 below ln 2^-1022, +inf above ln DBL_MAX.
double exp64(double x);
/// Natural logarithm; -inf at 0 (and below 2^-1022), NaN for x < 0.
double log64(double x);
/// x^y for x > 0 as exp(y·log x) with the logarithm to about 100 bits; x^0 = 1; 0^y = 0 for y > 0. NaN for x < 0.
double pow64(double x, double y);

/// Largest |x| of sincos64 and cos64: the reduction holds for 2^20 quarter turns. Beyond it they return NaN.
inline constexpr double kMaxAngle64 = 1.6e6;
struct SineCosine {
  double sine, cosine;
};
SineCosine sincos64(double x);
/// sincos64()'s cosine.
double cos64(double x);

}  // namespace longhaul::kernels
