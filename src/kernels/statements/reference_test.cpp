// The double references' backward passes against central finite differences of their forward passes; AdamW's golden values.
#include "kernels/statements/reference.h"

#include <gtest/gtest.h>

#include <functional>

#include "kernels/statements/test_support.h"

namespace longhaul::kernels::reference {
namespace {

constexpr double kStep = 1e-5;
// Central differences err by step²·f'''/6 ~ 1e-10 and by 1e-16/step ~ 1e-11.
constexpr double kTolerance = 1e-8;

Vector random_vector(std::int64_t n, std::uint64_t seed) { return widen(test::random_floats(n, seed, 2.0f)); }

double dot(const Vector& a, const Vector& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

/// d f / d x[i] by central differences, compared with `gradient`.
void expect_gradient(const std::function<double(const Vector&)>& f, Vector x, const Vector& gradient, const char* what) {
  ASSERT_EQ(x.size(), gradient.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double at = x[i];
    x[i] = at + kStep;
    const double above = f(x);
    x[i] = at - kStep;
    const double below = f(x);
    x[i] = at;
    EXPECT_NEAR(gradient[i], (above - below) / (2 * kStep), kTolerance) << what << '[' << i << ']';
  }
}

TEST(Reference, NormGradientsAreTheDerivativesOfTheForwardPass) {
  for (const NormKind kind : {NormKind::layer_norm, NormKind::rms_norm}) {
    const Vector x = random_vector(9, 1), weight = random_vector(9, 2), bias = random_vector(9, 3), d_out = random_vector(9, 4);
    const NormGradients g = norm_backward(kind, 1e-3, d_out, x, weight);
    expect_gradient([&](const Vector& v) { return dot(d_out, norm_forward(kind, 1e-3, v, weight, bias)); }, x, g.x, "x");
    expect_gradient([&](const Vector& v) { return dot(d_out, norm_forward(kind, 1e-3, x, v, bias)); }, weight, g.weight, "weight");
    expect_gradient([&](const Vector& v) { return dot(d_out, norm_forward(kind, 1e-3, x, weight, v)); }, bias, g.bias, "bias");
  }
}

TEST(Reference, HeadGradientsAreTheDerivativesOfTheForwardPass) {
  const Vector x = random_vector(8, 1), weight = random_vector(8, 2), angles = random_vector(4, 3), d_out = random_vector(8, 4);
  for (const Vector& w : {weight, Vector{}}) {
    const NormGradients g = head_backward(d_out, x, w, 1e-3, angles);
    expect_gradient([&](const Vector& v) { return dot(d_out, head_forward(v, w, 1e-3, angles)); }, x, g.x, "x");
    if (!w.empty()) expect_gradient([&](const Vector& v) { return dot(d_out, head_forward(x, v, 1e-3, angles)); }, w, g.weight, "weight");
  }
}

TEST(Reference, ActivationSlopesAreDerivatives) {
  for (double y = -6; y <= 6; y += 0.37) {
    EXPECT_NEAR(gelu_slope(y), (gelu(y + kStep) - gelu(y - kStep)) / (2 * kStep), kTolerance) << y;
    EXPECT_NEAR(silu_slope(y), (silu(y + kStep) - silu(y - kStep)) / (2 * kStep), kTolerance) << y;
  }
}

TEST(Reference, AdamWGoldenValues) {  // accounting A1
  const AdamW a{.beta1 = 0.9, .beta2 = 0.999, .learning_rate = 1e-3, .epsilon = 1e-8, .weight_decay = 0.1};
  EXPECT_NEAR(adamw(a, {.weight = 1.5}, 0.3, 1).weight, 1.4988500000333331, 1e-15);
  AdamW b = a;
  b.weight_decay = 0.01;
  EXPECT_NEAR(adamw(b, {.weight = 2.0}, 0.5, 1).weight, 1.99898000002, 1e-14);
}

}  // namespace
}  // namespace longhaul::kernels::reference
