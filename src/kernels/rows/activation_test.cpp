// Activations, bias and residual additions, rounding: the bits of the statements everywhere, and errors against the double reference.
#include <gtest/gtest.h>

#include "kernels/statements/reference.h"
#include "kernels/statements/rows_statement.h"
#include "kernels/statements/test_support.h"

namespace longhaul::kernels {
namespace {

using test::Operands;
using test::random_floats;
using test::same_bits;

/// Calls check(context) for every family, order and for 1 and 3 threads.
template <typename Check>
void everywhere(const Check& check) {
  ThreadPool one(1), three(3);
  for (const Family family : test::families()) {
    for (const Order order : {Order::fma, Order::dp2}) {
      for (ThreadPool* pool : {&one, &three}) {
        SCOPED_TRACE(std::string(name(family)) + " " + std::string(name(order)));
        check(Context{*pool, family, order});
      }
    }
  }
}

TEST(Gelu, BitsOfTheStatement) {
  constexpr std::int64_t kTokens = 90, kWidth = 403;  // more than one task, odd rows
  const std::vector<float> y = random_floats(kTokens * kWidth, 1, 6.0f), bias = random_floats(kWidth, 2);
  const std::vector<float> d_out = random_floats(kTokens * kWidth, 3);
  set_floating_point_environment();
  std::vector<float> sum(y.size()), out(y.size()), plain(y.size()), d_y(y.size());
  for (std::size_t i = 0; i < y.size(); ++i) {
    sum[i] = y[i] + bias[i % kWidth];
    out[i] = statement::gelu(sum[i]);
    plain[i] = statement::gelu(y[i]);
    d_y[i] = statement::gelu_backward(d_out[i], sum[i]);
  }
  everywhere([&](const Context& context) {
    std::vector<float> a = y, gradient = d_out;
    Operands result(context.order, kTokens * kWidth);
    gelu_forward(context, a.data(), nullptr, result.data(), kTokens, kWidth);
    EXPECT_TRUE(result.same_bits(Operands(context.order, plain)) && same_bits(a, y));
    gelu_forward(context, a.data(), bias.data(), result.data(), kTokens, kWidth);
    EXPECT_TRUE(result.same_bits(Operands(context.order, out)) && same_bits(a, sum));
    gelu_backward(context, gradient.data(), a.data(), gradient.data(), kTokens * kWidth);  // in place
    EXPECT_TRUE(same_bits(gradient, d_y));
  });
}

TEST(Swiglu, BitsOfTheStatement) {
  constexpr std::int64_t kCount = 30011;
  const std::vector<float> gate = random_floats(kCount, 1, 8.0f), up = random_floats(kCount, 2, 2.0f), d_out = random_floats(kCount, 3);
  set_floating_point_environment();
  std::vector<float> out(kCount), d_gate(kCount), d_up(kCount);
  for (std::size_t i = 0; i < kCount; ++i) {
    out[i] = statement::swiglu(gate[i], up[i]);
    const statement::GateGradients g = statement::swiglu_backward(d_out[i], gate[i], up[i]);
    d_gate[i] = g.gate, d_up[i] = g.up;
  }
  everywhere([&](const Context& context) {
    Operands result(context.order, kCount);
    swiglu_forward(context, gate.data(), up.data(), result.data(), kCount);
    EXPECT_TRUE(result.same_bits(Operands(context.order, out)));
    Operands gate_result(context.order, kCount), up_result(context.order, kCount);
    swiglu_backward(context, d_out.data(), gate.data(), up.data(), gate_result.data(), up_result.data(), kCount);
    EXPECT_TRUE(gate_result.same_bits(Operands(context.order, d_gate)) && up_result.same_bits(Operands(context.order, d_up)));
  });
}

TEST(Activations, ErrorsAgainstTheDoubleReference) {
  constexpr std::int64_t kCount = 4000;
  const std::vector<float> y = random_floats(kCount, 1, 8.0f), up = random_floats(kCount, 2), d_out = random_floats(kCount, 3);
  ThreadPool pool(1);
  const Context context{pool, best_family(), Order::fma};
  std::vector<float> copy = y, gelu(kCount), d_y(kCount), swiglu(kCount), d_gate(kCount), d_up(kCount);
  gelu_forward(context, copy.data(), nullptr, gelu.data(), 1, kCount);
  gelu_backward(context, d_out.data(), y.data(), d_y.data(), kCount);
  swiglu_forward(context, y.data(), up.data(), swiglu.data(), kCount);
  swiglu_backward(context, d_out.data(), y.data(), up.data(), d_gate.data(), d_up.data(), kCount);
  for (std::size_t i = 0; i < kCount; ++i) {
    const double x = y[i], d = d_out[i], u = up[i];
    // Absolute near zero, relative elsewhere: the slopes of GELU and SiLU pass through zero.
    EXPECT_NEAR(gelu[i], reference::gelu(x), 6e-7 * (std::fabs(reference::gelu(x)) + 1e-2)) << x;
    EXPECT_NEAR(d_y[i], d * reference::gelu_slope(x), 2e-6) << x;
    EXPECT_NEAR(swiglu[i], reference::silu(x) * u, 6e-7 * std::fabs(reference::silu(x) * u) + 1e-30) << x;
    EXPECT_NEAR(d_gate[i], d * u * reference::silu_slope(x), 2e-6) << x;
    EXPECT_NEAR(d_up[i], d * reference::silu(x), 1e-6 * std::fabs(d * reference::silu(x)) + 1e-30) << x;
  }
}

TEST(Activations, FarFromZero) {
  ThreadPool pool(1);
  const Context context{pool, best_family(), Order::fma};
  std::vector<float> y = {-1e4f, -100.0f, 0.0f, 100.0f, 1e4f}, out(5), ones(5, 1.0f), slope(5);
  gelu_forward(context, y.data(), nullptr, out.data(), 1, 5);
  gelu_backward(context, ones.data(), y.data(), slope.data(), 5);
  EXPECT_EQ(out, (std::vector<float>{0, 0, 0, 100, 1e4f}));
  EXPECT_EQ(slope, (std::vector<float>{0, 0, 0.5f, 1, 1}));
  y = {-1e4f, -100.0f, 0.0f, 100.0f, 1e4f};
  swiglu_forward(context, y.data(), ones.data(), out.data(), 5);
  EXPECT_EQ(out[0], 0.0f);
  EXPECT_EQ(out[4], 1e4f);
}

TEST(BiasAndResidual, BitsOfTheStatement) {
  constexpr std::int64_t kTokens = 150, kWidth = 99, kStride = 131;
  const std::vector<float> y = random_floats(kTokens * kWidth, 1), residual = random_floats(kTokens * kWidth, 2);
  const std::vector<float> bias = random_floats(kWidth, 3), d_y = random_floats(kTokens * kStride, 4), present = random_floats(kWidth, 5);
  std::vector<float> with_bias(y.size()), without(y.size()), d_bias = present;
  for (std::size_t i = 0; i < y.size(); ++i) {
    with_bias[i] = residual[i] + (y[i] + bias[i % kWidth]);
    without[i] = residual[i] + y[i];
  }
  for (std::size_t t = 0; t < kTokens; ++t) {
    for (std::size_t j = 0; j < kWidth; ++j) d_bias[j] += d_y[t * kStride + j];
  }
  everywhere([&](const Context& context) {
    std::vector<float> a = y, b = residual, gradient = present;
    add_bias_residual(context, a.data(), bias.data(), residual.data(), a.data(), kTokens, kWidth);
    EXPECT_TRUE(same_bits(a, with_bias));
    add_bias_residual(context, y.data(), nullptr, b.data(), b.data(), kTokens, kWidth);
    EXPECT_TRUE(same_bits(b, without));
    bias_backward(context, d_y.data(), kStride, gradient.data(), kTokens, kWidth);
    EXPECT_TRUE(same_bits(gradient, d_bias));
    Operands rounded(context.order, kTokens * kWidth);
    round_to_operand(context, y.data(), rounded.data(), kTokens * kWidth);
    EXPECT_TRUE(rounded.same_bits(Operands(context.order, y)));
  });
}

}  // namespace
}  // namespace longhaul::kernels
