// LayerNorm and RMSNorm: the bits of the statement on every family, thread count and width; errors against the double reference.
#include <gtest/gtest.h>

#include "kernels/statements/reference.h"
#include "kernels/statements/rows_statement.h"
#include "kernels/statements/test_support.h"

namespace longhaul::kernels {
namespace {

using test::Operands;
using test::random_floats;
using test::same_bits;

constexpr float kEpsilon = 1e-5f;

struct Inputs {
  Inputs(NormKind kind, std::int64_t tokens, std::int64_t width)
      : shape{kind, tokens, width, kEpsilon},
        x(random_floats(tokens * width, 1, 3.0f)),
        d_out(random_floats(tokens * width, 2)),
        residual(random_floats(tokens * width, 3)),
        weight(random_floats(width, 4)),
        bias(random_floats(width, 5)),
        d_weight(random_floats(width, 6)),
        d_bias(random_floats(width, 7)) {
    for (float& a : x) a += 0.5f;  // a mean to take away
  }
  NormShape shape;
  std::vector<float> x, d_out, residual, weight, bias, d_weight, d_bias;  ///< d_weight, d_bias: present values of the chains
};

struct Outputs {
  std::vector<float> out, statistics, d_x, d_weight, d_bias;
};

Outputs stated(const Inputs& in, bool with_bias, bool with_residual) {
  Outputs o{std::vector<float>(in.x.size()), std::vector<float>(static_cast<std::size_t>(2 * in.shape.tokens)),
            std::vector<float>(in.x.size()), in.d_weight, in.d_bias};
  statement::norm_forward(in.shape, in.x.data(), in.weight.data(), with_bias ? in.bias.data() : nullptr, o.out.data(), o.statistics.data());
  statement::norm_backward(in.shape, in.d_out.data(), in.x.data(), in.weight.data(), o.statistics.data(),
                           with_residual ? in.residual.data() : nullptr, o.d_x.data(), o.d_weight.data(),
                           with_bias ? o.d_bias.data() : nullptr);
  return o;
}

void expect_bits(const Inputs& in, bool with_bias, bool with_residual) {
  const Outputs expected = stated(in, with_bias, with_residual);
  ThreadPool one(1), three(3);
  for (const Family family : test::families()) {
    for (ThreadPool* pool : {&one, &three}) {
      for (const Order order : {Order::fma, Order::dp2}) {
        const Context context{*pool, family, order};
        Operands out(order, static_cast<std::int64_t>(in.x.size()));
        std::vector<float> statistics(expected.statistics.size()), d_x = in.residual, d_weight = in.d_weight, d_bias = in.d_bias;
        norm_forward(context, in.shape, in.x.data(), in.weight.data(), with_bias ? in.bias.data() : nullptr, out.data(), statistics.data());
        norm_backward(context, in.shape, in.d_out.data(), in.x.data(), in.weight.data(), statistics.data(),
                      with_residual ? d_x.data() : nullptr, d_x.data(), d_weight.data(),
                      with_bias ? d_bias.data() : nullptr);  // d_x aliases d_residual
        EXPECT_TRUE(out.same_bits(Operands(order, expected.out))) << name(family) << ' ' << name(order) << ' ' << in.shape.width;
        EXPECT_TRUE(same_bits(statistics, expected.statistics)) << name(family);
        EXPECT_TRUE(same_bits(d_x, expected.d_x)) << name(family) << ' ' << in.shape.width;
        EXPECT_TRUE(same_bits(d_weight, expected.d_weight)) << name(family) << ' ' << in.shape.width;
        EXPECT_TRUE(same_bits(d_bias, with_bias ? expected.d_bias : in.d_bias)) << name(family);
      }
    }
  }
}

TEST(Norm, EveryFamilyThreadCountAndWidthReturnsTheBitsOfTheStatement) {
  for (const NormKind kind : {NormKind::layer_norm, NormKind::rms_norm}) {
    expect_bits(Inputs(kind, 3, 5), true, true);
    expect_bits(Inputs(kind, 1, 16), false, false);
    expect_bits(Inputs(kind, 37, 131), true, false);
    expect_bits(Inputs(kind, 300, 192), false, true);  // several tasks
  }
}

TEST(Norm, ErrorsAgainstTheDoubleReference) {
  for (const NormKind kind : {NormKind::layer_norm, NormKind::rms_norm}) {
    const Inputs in(kind, 20, 100);
    ThreadPool pool(2);
    const Context context{pool, best_family(), Order::fma};
    std::vector<float> out(in.x.size()), statistics(40), d_x(in.x.size()), d_weight = in.d_weight, d_bias = in.d_bias;
    norm_forward(context, in.shape, in.x.data(), in.weight.data(), in.bias.data(), out.data(), statistics.data());
    norm_backward(context, in.shape, in.d_out.data(), in.x.data(), in.weight.data(), statistics.data(), in.residual.data(), d_x.data(),
                  d_weight.data(), d_bias.data());
    reference::Vector out_exact, d_x_exact, d_weight_exact = reference::widen(in.d_weight), d_bias_exact = reference::widen(in.d_bias);
    for (std::ptrdiff_t t = 0; t < 20; ++t) {
      const reference::Vector x(in.x.begin() + t * 100, in.x.begin() + (t + 1) * 100), weight = reference::widen(in.weight);
      const reference::Vector d_out(in.d_out.begin() + t * 100, in.d_out.begin() + (t + 1) * 100);
      const double epsilon = static_cast<double>(kEpsilon);
      const reference::Vector row = reference::norm_forward(kind, epsilon, x, weight, reference::widen(in.bias));
      const reference::NormGradients g = reference::norm_backward(kind, epsilon, d_out, x, weight);
      out_exact.insert(out_exact.end(), row.begin(), row.end());
      for (std::size_t i = 0; i < 100; ++i) {
        d_x_exact.push_back(g.x[i] + static_cast<double>(in.residual[d_x_exact.size()]));
        d_weight_exact[i] += g.weight[i], d_bias_exact[i] += g.bias[i];
      }
    }
    // A few roundings of 2^-24 each.
    EXPECT_LT(test::relative_error(out, out_exact), 2e-7);
    EXPECT_LT(test::relative_error(d_x, d_x_exact), 2e-7);
    EXPECT_LT(test::relative_error(d_weight, d_weight_exact), 5e-7);
    EXPECT_LT(test::relative_error(d_bias, d_bias_exact), 5e-7);
  }
}

// The chain continues: two halves of the tokens give the bits of the whole, whatever the micro-batch.
TEST(Norm, WeightGradientsOfMicroBatchesContinueOneChain) {
  const Inputs in(NormKind::layer_norm, 24, 48);
  const Outputs whole = stated(in, true, false);
  ThreadPool pool(2);
  const Context context{pool, best_family(), Order::fma};
  std::vector<float> d_weight = in.d_weight, d_bias = in.d_bias, d_x(in.x.size());
  for (const std::int64_t first : {0, 7}) {
    NormShape part = in.shape;
    part.tokens = first == 0 ? 7 : 17;
    const std::int64_t at = first * 48;
    norm_backward(context, part, in.d_out.data() + at, in.x.data() + at, in.weight.data(), whole.statistics.data() + 2 * first, nullptr,
                  d_x.data() + at, d_weight.data(), d_bias.data());
  }
  EXPECT_TRUE(same_bits(d_weight, whole.d_weight) && same_bits(d_bias, whole.d_bias) && same_bits(d_x, whole.d_x));
}

}  // namespace
}  // namespace longhaul::kernels
