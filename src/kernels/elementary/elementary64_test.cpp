// The double functions against the C library's long double ones: error in ulp over dense sweeps, and the edges.
#include "kernels/elementary/elementary64.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace longhaul::kernels {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

double sin64(double x) { return sincos64(x).sine; }

double ulps(double value, long double exact) {
  const double rounded = static_cast<double>(exact);
  const double size = std::fabs(rounded);  // the distance in long double: FTZ would flush the smallest
  const long double ulp = static_cast<long double>(std::nextafter(size, kInfinity)) - static_cast<long double>(size);
  return static_cast<double>(fabsl(static_cast<long double>(value) - exact) / ulp);
}

// Largest error of f over `count` points of [from, to], evenly spaced by an irrational-looking step.
template <typename F, typename Exact>
double worst(F f, Exact exact, double from, double to, int count) {
  double found = 0;
  for (int i = 0; i <= count; ++i) {
    const double x = from + (to - from) * (i / static_cast<double>(count));
    found = std::max(found, ulps(f(x), exact(static_cast<long double>(x))));
  }
  return found;
}

TEST(Elementary64, ErrorsStayBelowOneUlp) {
  EXPECT_LT(worst(exp64, expl, -708.3, 709.7, 300000), 1.0);
  EXPECT_LT(worst(exp64, expl, -1.0, 1.0, 100000), 1.0);
  EXPECT_LT(worst(log64, logl, 1e-9, 4.0, 300000), 1.0);
  EXPECT_LT(worst(log64, logl, 0.99, 1.01, 100000), 1.0);
  EXPECT_LT(worst(log64, logl, 1.0, 1e300, 100000), 1.0);
  EXPECT_LT(worst(sin64, sinl, -7.0, 7.0, 200000), 1.0);
  EXPECT_LT(worst(cos64, cosl, -7.0, 7.0, 200000), 1.0);
  EXPECT_LT(worst(sin64, sinl, -131072.0, 131072.0, 300000), 1.0);
  EXPECT_LT(worst(cos64, cosl, -131072.0, 131072.0, 300000), 1.0);
}

TEST(Elementary64, PowersOfDecayRatesAndRotationBases) {
  for (const double beta : {0.9, 0.95, 0.98, 0.999, 0.9999}) {
    double found = 0;
    for (int t = 1; t < 5000; ++t) found = std::max(found, ulps(pow64(beta, t), powl(beta, t)));
    EXPECT_LT(found, 2.0) << beta;
  }
  double found = 0;
  for (int i = 0; i < 1000; ++i)
    found = std::max(found, ulps(pow64(500000.0, i / 1000.0), powl(500000.0L, static_cast<long double>(i / 1000.0))));
  EXPECT_LT(found, 1.5);
}

TEST(Elementary64, Edges) {
  EXPECT_EQ(exp64(0.0), 1.0);
  EXPECT_EQ(exp64(kInfinity), kInfinity);
  EXPECT_EQ(exp64(-kInfinity), 0.0);
  EXPECT_EQ(exp64(710.0), kInfinity);
  EXPECT_EQ(exp64(-709.0), 0.0);
  EXPECT_EQ(log64(1.0), 0.0);
  EXPECT_EQ(log64(0.0), -kInfinity);
  EXPECT_EQ(log64(kInfinity), kInfinity);
  EXPECT_TRUE(std::isnan(log64(-1.0)));
  EXPECT_EQ(pow64(0.9, 0.0), 1.0);
  EXPECT_EQ(pow64(0.0, 2.0), 0.0);
  EXPECT_EQ(pow64(2.0, 10.0), 1024.0);
  EXPECT_EQ(pow64(0.999, 1e9), 0.0);
  EXPECT_EQ(pow64(0.5, kInfinity), 0.0);
  EXPECT_EQ(pow64(2.0, -kInfinity), 0.0);
  EXPECT_EQ(sin64(0.0), 0.0);
  EXPECT_EQ(cos64(0.0), 1.0);
  EXPECT_TRUE(std::isnan(sin64(kInfinity)));
  EXPECT_TRUE(std::isnan(cos64(2e6)));  // outside the reduction's range: an error, not a guess
  for (double (*f)(double) : {exp64, log64, sin64, cos64}) EXPECT_TRUE(std::isnan(f(std::nan(""))));
}

}  // namespace
}  // namespace longhaul::kernels
