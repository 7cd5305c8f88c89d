// Splitting into heads, qk-norm and rotation: the bits of the statement everywhere, errors against the double reference, and the tables.
#include <gtest/gtest.h>

#include "kernels/statements/reference.h"
#include "kernels/statements/rows_statement.h"
#include "kernels/statements/test_support.h"

namespace longhaul::kernels {
namespace {

using test::Operands;
using test::random_floats;
using test::same_bits;

constexpr std::int64_t kPositions = 64;

struct Case {
  HeadShape shape;
  bool bias, norm, rotation;
};

struct Inputs {
  explicit Inputs(const Case& c)
      : shape(c.shape),
        qkv(random_floats(shape.tokens * shape.row(), 1, 2.0f)),
        bias(random_floats(shape.row(), 2)),
        q_norm(random_floats(shape.head_dim, 3)),
        k_norm(random_floats(shape.head_dim, 4)),
        cosine(static_cast<std::size_t>(kPositions * shape.head_dim / 2)),
        sine(cosine.size()),
        d_qkv(random_floats(shape.tokens * shape.row(), 5)),
        present(random_floats(shape.head_dim, 6)) {
    rope_table(10000.0, kPositions, shape.head_dim, cosine.data(), sine.data());
    for (std::int64_t t = 0; t < shape.tokens; ++t) positions.push_back(static_cast<std::int32_t>((t * 7 + 3) % kPositions));
    options = {c.bias ? bias.data() : nullptr,       c.norm ? q_norm.data() : nullptr,  c.norm ? k_norm.data() : nullptr, 1e-6f,
               c.rotation ? cosine.data() : nullptr, c.rotation ? sine.data() : nullptr};
  }
  /// Columns [first, first + heads)·D of each row of `rows`.
  std::vector<float> part(const std::vector<float>& rows, std::int64_t first, std::int64_t heads) const {
    std::vector<float> out;
    for (std::int64_t t = 0; t < shape.tokens; ++t) {
      const auto begin = rows.begin() + t * shape.row() + first * shape.head_dim;
      out.insert(out.end(), begin, begin + heads * shape.head_dim);
    }
    return out;
  }
  HeadShape shape;
  std::vector<float> qkv, bias, q_norm, k_norm, cosine, sine, d_qkv, present;  ///< d_qkv: the gradients dq, dk, dv side by side
  std::vector<std::int32_t> positions;
  HeadOptions options;
};

struct Outputs {
  std::vector<float> qkv, out, statistics, d_qkv, d_q_norm, d_k_norm;
};

Outputs stated(const Inputs& in) {
  const std::int64_t d = in.shape.head_dim, normed = in.shape.heads + in.shape.kv_heads;
  Outputs o{in.qkv, {}, std::vector<float>(static_cast<std::size_t>(in.shape.tokens * normed)), in.d_qkv, in.present, in.present};
  for (std::size_t i = 0; in.options.bias && i < o.qkv.size(); ++i) o.qkv[i] += in.bias[i % static_cast<std::size_t>(in.shape.row())];
  o.out = o.qkv;
  for (std::int64_t t = 0; t < in.shape.tokens; ++t) {
    const std::int64_t angle = in.positions[static_cast<std::size_t>(t)] * d / 2;
    const float* cosine = in.options.cosine ? in.cosine.data() + angle : nullptr;
    const float* sine = in.options.cosine ? in.sine.data() + angle : nullptr;
    for (std::int64_t h = 0; h < normed; ++h) {
      const bool query = h < in.shape.heads;
      const float* weight = query ? in.options.q_norm : in.options.k_norm;
      const std::int64_t at = t * in.shape.row() + h * d;
      const float inverse = statement::head_forward(o.qkv.data() + at, weight, in.options.epsilon, cosine, sine, o.out.data() + at, d);
      if (weight) o.statistics[static_cast<std::size_t>(t * normed + h)] = inverse;
      statement::head_backward(o.qkv.data() + at, inverse, weight, cosine, sine, in.d_qkv.data() + at, o.d_qkv.data() + at,
                               query ? o.d_q_norm.data() : o.d_k_norm.data(), d);
    }
  }
  return o;
}

void expect_bits(const Case& c) {
  const Inputs in(c);
  const Outputs expected = stated(in);
  const std::int64_t n = c.shape.tokens, heads = c.shape.heads, kv = c.shape.kv_heads, d = c.shape.head_dim;
  const std::vector<float> dq = in.part(in.d_qkv, 0, heads), dk = in.part(in.d_qkv, heads, kv), dv = in.part(in.d_qkv, heads + kv, kv);
  ThreadPool one(1), three(3);
  for (const Family family : test::families()) {
    for (ThreadPool* pool : {&one, &three}) {
      for (const Order order : {Order::fma, Order::dp2}) {
        SCOPED_TRACE(std::string(name(family)) + " " + std::string(name(order)) + " D=" + std::to_string(d));
        const Context context{*pool, family, order};
        std::vector<float> qkv = in.qkv, statistics(expected.statistics.size()), d_qkv(in.d_qkv.size()), d_q_norm = in.present,
                           d_k_norm = in.present;
        Operands q(order, n * heads * d), k(order, n * kv * d), v(order, n * kv * d);
        heads_forward(context, c.shape, in.options, qkv.data(), in.positions.data(), q.data(), k.data(), v.data(), statistics.data());
        heads_backward(context, c.shape, in.options, qkv.data(), statistics.data(), in.positions.data(), dq.data(), dk.data(), dv.data(),
                       d_qkv.data(), d_q_norm.data(), d_k_norm.data());
        EXPECT_TRUE(q.same_bits(Operands(order, in.part(expected.out, 0, heads))));
        EXPECT_TRUE(k.same_bits(Operands(order, in.part(expected.out, heads, kv))));
        EXPECT_TRUE(v.same_bits(Operands(order, in.part(expected.qkv, heads + kv, kv))));
        EXPECT_TRUE(same_bits(qkv, expected.qkv) && same_bits(statistics, expected.statistics));
        EXPECT_TRUE(same_bits(d_qkv, expected.d_qkv));
        EXPECT_TRUE(same_bits(d_q_norm, expected.d_q_norm) && same_bits(d_k_norm, expected.d_k_norm));
      }
    }
  }
}

TEST(Heads, EveryFamilyThreadCountAndShapeReturnsTheBitsOfTheStatement) {
  expect_bits({{5, 3, 1, 6}, true, true, true});
  expect_bits({{40, 4, 2, 32}, false, true, true});
  expect_bits({{33, 6, 2, 24}, false, false, true});
  expect_bits({{20, 3, 3, 64}, true, false, false});
  expect_bits({{17, 2, 2, 80}, false, true, false});
}

TEST(Heads, ErrorsAgainstTheDoubleReference) {
  const Inputs in({{30, 4, 2, 16}, false, true, true});
  const Outputs o = stated(in);  // the kernel's bits, by the test above
  reference::Vector out, d_x, d_q_norm = reference::widen(in.present);
  std::vector<float> out_fp32, d_x_fp32;
  for (std::size_t t = 0; t < 30; ++t) {
    reference::Vector angles;
    for (int i = 0; i < 8; ++i) angles.push_back(in.positions[t] / std::pow(10000.0, i / 8.0));
    for (std::size_t h = 0; h < 4; ++h) {
      const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(t) * in.shape.row() + static_cast<std::ptrdiff_t>(h) * 16;
      const reference::Vector x(in.qkv.begin() + at, in.qkv.begin() + at + 16), d(in.d_qkv.begin() + at, in.d_qkv.begin() + at + 16);
      const reference::Vector weight = reference::widen(in.q_norm), row = reference::head_forward(x, weight, 1e-6, angles);
      const reference::NormGradients g = reference::head_backward(d, x, weight, 1e-6, angles);
      out.insert(out.end(), row.begin(), row.end());
      d_x.insert(d_x.end(), g.x.begin(), g.x.end());
      for (std::size_t i = 0; i < 16; ++i) d_q_norm[i] += g.weight[i];
      out_fp32.insert(out_fp32.end(), o.out.begin() + at, o.out.begin() + at + 16);
      d_x_fp32.insert(d_x_fp32.end(), o.d_qkv.begin() + at, o.d_qkv.begin() + at + 16);
    }
  }
  EXPECT_LT(test::relative_error(out_fp32, out), 1e-6);  // angles up to 63 radians carry 2^-25 of themselves
  EXPECT_LT(test::relative_error(d_x_fp32, d_x), 1e-6);
  EXPECT_LT(test::relative_error(o.d_q_norm, d_q_norm), 1e-6);
}

TEST(RopeTable, IsTheRoundedCosineOfTheRoundedAngle) {
  constexpr std::int64_t kLong = 3000, kDim = 64;
  std::vector<float> cosine(kLong * kDim / 2), sine(cosine.size());
  for (const double theta : {10000.0, 500000.0, 1000000.0}) {
    rope_table(theta, kLong, kDim, cosine.data(), sine.data());
    int off = 0;
    for (std::size_t i = 0; i < kDim / 2; ++i) {
      const float power = static_cast<float>(std::pow(theta, static_cast<double>(static_cast<float>(2 * i) / kDim)));
      for (std::size_t p = 0; p < kLong; ++p) {
        const float angle = static_cast<float>(p) * (1.0f / power);
        off += cosine[p * kDim / 2 + i] != static_cast<float>(std::cos(static_cast<double>(angle)));
        off += sine[p * kDim / 2 + i] != static_cast<float>(std::sin(static_cast<double>(angle)));
      }
    }
    EXPECT_EQ(off, 0) << theta;  // both libraries are within 1 ulp of double: a different fp32 is one in 2^28
  }
}

}  // namespace
}  // namespace longhaul::kernels
