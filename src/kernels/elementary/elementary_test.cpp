// The fp32 elementary functions: every family returns the bits of the scalar statements, whose error in ulp stays below the bounds that
// kernels/elementary/elementary.h promises, over sweeps of all exponents; and the edges.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/probes/elementary_probe.h"
#include "kernels/statements/elementary_scalar.h"

namespace longhaul::kernels {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Case {
  const char* name;
  ElementaryFunction ElementaryProbe::*member;
  float (*statement)(float);
  double (*exact)(double);
  float from, to;  ///< where the bound holds
  double bound;
};

double sigmoid_exact(double x) { return 1.0 / (1.0 + std::exp(-x)); }
double rsqrt_exact(double x) { return 1.0 / std::sqrt(x); }

const Case kCases[] = {
    {"exp", &ElementaryProbe::exp, scalar::exp, std::exp, -87.33654f, 88.72283f, 1.01},
    {"exp2", &ElementaryProbe::exp2, scalar::exp2, std::exp2, -126.0f, 127.99999f, 1.01},
    {"log", &ElementaryProbe::log, scalar::log, std::log, 0.0f, 3e38f, 1.0},
    {"tanh", &ElementaryProbe::tanh, scalar::tanh, std::tanh, -3e38f, 3e38f, 3.0},
    {"sigmoid", &ElementaryProbe::sigmoid, scalar::sigmoid, sigmoid_exact, -87.0f, 3e38f, 3.0},
    {"sin", &ElementaryProbe::sin, scalar::sin, std::sin, -1e5f, 1e5f, 2.0},
    {"cos", &ElementaryProbe::cos, scalar::cos, std::cos, -1e5f, 1e5f, 2.0},
    {"erf", &ElementaryProbe::erf, scalar::erf, std::erf, -3e38f, 3e38f, 3.0},
    {"rsqrt", &ElementaryProbe::rsqrt, scalar::rsqrt, rsqrt_exact, 0.0f, 3e38f, 1.5},
};

// All exponents and both signs in steps of a prime, then the edges; a multiple of 16.
std::vector<float> sweep() {
  std::vector<float> points = {0.0f,
                               -0.0f,
                               kInfinity,
                               -kInfinity,
                               std::numeric_limits<float>::quiet_NaN(),
                               88.72283f,
                               88.72284f,
                               -87.33654f,
                               -87.33655f,
                               1.0f,
                               -1.0f,
                               std::bit_cast<float>(1u),
                               128.0f,
                               -126.0f,
                               3e38f,
                               -3e38f};
  for (std::uint32_t sign : {0u, 0x80000000u}) {
    for (std::uint32_t u = 0x00800000u; u < 0x7f800000u; u += 4099) points.push_back(std::bit_cast<float>(u | sign));
  }
  points.resize((points.size() + 15) / 16 * 16, 0.5f);
  return points;
}

double ulps(float value, double exact) {
  const float rounded = static_cast<float>(exact);
  const double ulp = static_cast<double>(std::nextafter(std::fabs(rounded), kInfinity)) - static_cast<double>(std::fabs(rounded));
  return std::fabs(static_cast<double>(value) - exact) / ulp;
}

TEST(Elementary, FamiliesReturnTheBitsOfTheStatements) {
  set_floating_point_environment();
  const std::vector<float> x = sweep();
  std::vector<float> y(x.size());
  for (const Family family : {Family::avx2, Family::avx512, Family::avx512_bf16}) {
    if (!supported(family)) continue;
    for (const Case& c : kCases) {
      (LONGHAUL_FAMILY_SELECT(family, elementary_probe).*c.member)(x.data(), y.data(), static_cast<std::int64_t>(x.size()));
      int different = 0;
      for (std::size_t i = 0; i < x.size(); ++i) {
        const float expected = c.statement(x[i]);
        if (std::isnan(expected) ? !std::isnan(y[i]) : scalar::bits(expected) != scalar::bits(y[i])) {
          if (++different == 1)
            ADD_FAILURE() << c.name << '(' << x[i] << ") on " << name(family) << ": " << y[i] << ", statement " << expected;
        }
      }
      EXPECT_EQ(different, 0) << c.name << " on " << name(family);
    }
  }
}

TEST(Elementary, ErrorsStayBelowTheirBounds) {
  set_floating_point_environment();
  const std::vector<float> x = sweep();
  for (const Case& c : kCases) {
    double worst = 0;
    float where = 0;
    for (const float point : x) {
      if (!(point >= c.from && point <= c.to) || std::fabs(point) < std::numeric_limits<float>::min()) continue;
      const double exact = c.exact(static_cast<double>(point));
      if (std::fabs(exact) < 1.1754944e-38) continue;  // flushed
      const double error = ulps(c.statement(point), exact);
      if (!(error <= worst)) worst = error, where = point;
    }
    EXPECT_LT(worst, c.bound) << c.name << '(' << where << ')';
    RecordProperty(std::string(c.name) + "_worst_ulp", std::to_string(worst));
  }
}

// Many angles in the range that matters, where neighbouring points are far apart in the sweep of all exponents.
TEST(Elementary, AnglesUpToOneHundredThousand) {
  set_floating_point_environment();
  double worst = 0;
  for (int i = 0; i < 400000; ++i) {
    const float x = static_cast<float>(i) * 0.25f;
    // Near a zero of the function the error is judged against the value 2^-10: a rotation adds it to a number of order one.
    const auto error = [](float value, double exact) { return std::fabs(value - exact) / (std::max(std::fabs(exact), 0x1p-10) * 0x1p-23); };
    worst =
        std::max({worst, error(scalar::sin(x), std::sin(static_cast<double>(x))), error(scalar::cos(x), std::cos(static_cast<double>(x)))});
  }
  EXPECT_LT(worst, 2.0);
}

TEST(Elementary, Edges) {
  set_floating_point_environment();
  EXPECT_EQ(scalar::exp(0.0f), 1.0f);
  EXPECT_EQ(scalar::exp(-kInfinity), 0.0f);
  EXPECT_EQ(scalar::exp(kInfinity), kInfinity);
  EXPECT_EQ(scalar::exp(89.0f), kInfinity);
  EXPECT_EQ(scalar::exp2(10.0f), 1024.0f);
  EXPECT_EQ(scalar::log(0.0f), -kInfinity);
  EXPECT_EQ(scalar::log(1.0f), 0.0f);
  EXPECT_EQ(scalar::log(kInfinity), kInfinity);
  EXPECT_TRUE(std::isnan(scalar::log(-1.0f)));
  EXPECT_EQ(scalar::tanh(kInfinity), 1.0f);
  EXPECT_EQ(scalar::tanh(-20.0f), -1.0f);
  EXPECT_TRUE(std::signbit(scalar::tanh(-0.0f)));
  EXPECT_EQ(scalar::sigmoid(0.0f), 0.5f);
  EXPECT_EQ(scalar::sigmoid(-kInfinity), 0.0f);
  EXPECT_EQ(scalar::sigmoid(kInfinity), 1.0f);
  EXPECT_EQ(scalar::erf(kInfinity), 1.0f);
  EXPECT_EQ(scalar::cos(0.0f), 1.0f);
  EXPECT_TRUE(std::isnan(scalar::sin(2e5f)));
  EXPECT_EQ(scalar::rsqrt(4.0f), 0.5f);
  for (const Case& c : kCases) EXPECT_TRUE(std::isnan(c.statement(std::nanf("")))) << c.name;
}

}  // namespace
}  // namespace longhaul::kernels
