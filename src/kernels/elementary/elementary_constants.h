// kernels/elementary/elementary_constants.h — the coefficients that the vector functions and their scalar statements share.
//
// Polynomials: Cephes (Moshier, single precision: expf, logf, sinf, cosf); erf's are Chebyshev fits of our own. Evaluated here with fused
// multiply-adds; the error bounds were measured anew.
#pragma once

#include <cstdint>
#include <limits>

namespace longhaul::kernels::elementary_constants {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kSmallest = std::numeric_limits<float>::min();

/// Adding 1.5·2^23 leaves the nearest integer in the low bits.
constexpr float kRound = 0x1.8p23f;
constexpr float kLog2E = 0x1.715476p+0f;
constexpr float kLn2 = 0x1.62e430p-1f;
/// ln 2 = high + low; high has 9 bits, so that n·high is exact.
constexpr float kLn2High = 0.693359375f;
constexpr float kLn2Low = -2.12194440e-4f;
/// Largest argument with a finite result, smallest with a normal one.
constexpr float kExpMax = 88.72283f;
constexpr float kExpMin = -87.33654f;
/// (e^r - 1 - r) / r², |r| ≤ ln 2 / 2.
constexpr float kExp[6] = {1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f};
/// (log(1+f) - f + f²/2) / f³, 1+f in [√½, √2).
constexpr float kLog[9] = {7.0376836292e-2f,  -1.1514610310e-1f, 1.1676998740e-1f,  -1.2420140846e-1f, 1.4249322787e-1f,
                           -1.6668057665e-1f, 2.0000714765e-1f,  -2.4999993993e-1f, 3.3333331174e-1f};
constexpr std::int32_t kHalfSqrtBits = 0x3f3504f3;
/// tanh is 1 from 9.02 on; 10 keeps e^20 and its sum with 2 apart from overflow.
constexpr float kTanhOne = 10.0f;

/// Largest |x| of sin and cos; beyond it the reduction would lose bits, and they return NaN.
constexpr float kAngleMax = 1e5f;
constexpr float kTwoOverPi = 0x1.45f306p-1f;
/// π/2 = first + second + third, each rounded to 24 bits; x - n·first is exact.
constexpr float kHalfPi1 = 0x1.921fb6p+0f;
constexpr float kHalfPi2 = -0x1.777a5cp-25f;
constexpr float kHalfPi3 = -0x1.ee59dap-50f;
/// (sin r - r) / r³ and (cos r - 1 + r²/2) / r⁴ in r², |r| ≤ π/4.
constexpr float kSin[3] = {-1.9515295891e-4f, 8.3321608736e-3f, -1.6666654611e-1f};
constexpr float kCos[3] = {2.443315711809948e-5f, -1.388731625493765e-3f, 4.166664568298827e-2f};

/// erf x / x - 1 in x², |x| < 1.
constexpr float kErfSmall[7] = {7.882497448008507e-05f, -0.0008018855005502701f, 0.005189312156289816f, -0.02685432881116867f,
                                0.11283597350120544f,   -0.3761262595653534f,    0.12837916612625122f};
/// log(1 - erf x), 1 ≤ x ≤ 4; erf is 1 from 3.93 on.
constexpr float kErfLarge[8] = {-1.7281583495787345e-05f, 0.0003831308276858181f, -0.0038849322590976954f, 0.024262504652142525f,
                                -0.10678888857364655f,    -0.634857177734375f,    -1.128689169883728f,     -1.3690712876268663e-05f};

}  // namespace longhaul::kernels::elementary_constants
