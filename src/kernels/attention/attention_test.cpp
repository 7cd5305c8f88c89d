// What attention promises: the scalar statement's bits on every family, thread count and shape; the right mathematics; isolation; no
// overflow (accounting F10).
#include "kernels/attention/attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "kernels/attention/attention_family.h"
#include "kernels/statements/attention_reference.h"
#include "kernels/statements/scalar_statement.h"
#include "kernels/statements/test_support.h"

namespace longhaul::kernels {
namespace {

using test::Operands;

struct Case {
  std::int64_t sequences, length, heads, kv_heads, head_dim;
  std::int64_t document_length;  // 0: one document
  AttentionShape shape() const { return {sequences, length, heads, kv_heads, head_dim}; }
  std::int64_t q_count() const { return sequences * length * heads * head_dim; }
  std::int64_t kv_count() const { return sequences * length * kv_heads * head_dim; }
  std::vector<std::int32_t> documents() const {
    std::vector<std::int32_t> start;
    for (std::int64_t i = 0; i < sequences * length; ++i) {
      const std::int64_t t = i % length;
      start.push_back(static_cast<std::int32_t>(document_length == 0 ? 0 : t / document_length * document_length));
    }
    return start;
  }
};

std::ostream& operator<<(std::ostream& out, const Case& c) {
  return out << "B" << c.sequences << " T" << c.length << " H" << c.heads << "/" << c.kv_heads << " D" << c.head_dim << " documents "
             << c.document_length;
}

struct Inputs {
  Operands q, k, v;
  std::vector<float> d_o;
  std::vector<std::int32_t> document_start;
};
Inputs inputs(Order order, const Case& c, float amplitude = 1.0f) {
  return {Operands(order, test::random_floats(c.q_count(), 1, amplitude)), Operands(order, test::random_floats(c.kv_count(), 2, amplitude)),
          Operands(order, test::random_floats(c.kv_count(), 3)), test::random_floats(c.q_count(), 4), c.documents()};
}

struct Results {
  Operands o;
  std::vector<float> row_max, row_sum, dq, dk, dv;
  Results(Order order, const Case& c)
      : o(order, c.q_count()),
        row_max(static_cast<std::size_t>(c.sequences * c.heads * c.length), NAN),
        row_sum(row_max),
        dq(static_cast<std::size_t>(c.q_count()), NAN),
        dk(static_cast<std::size_t>(c.kv_count()), NAN),
        dv(dk) {}
};

Results reference(Order order, const Case& c, const Inputs& x) {
  Results r(order, c);
  attention_forward_reference(order, c.shape(), x.q.data(), x.k.data(), x.v.data(), x.document_start.data(), r.o.data(), r.row_max.data(),
                              r.row_sum.data());
  attention_backward_reference(order, c.shape(), x.q.data(), x.k.data(), x.v.data(), r.o.data(), x.d_o.data(), r.row_max.data(),
                               r.row_sum.data(), x.document_start.data(), r.dq.data(), r.dk.data(), r.dv.data());
  return r;
}

Results kernel_with(const AttentionTable& table, const Context& context, const Case& c, const Inputs& x) {
  Results r(context.order, c);
  const AttentionShape s = c.shape();
  const int threads = context.pool.threads();
  test::Workspace forward(attention_forward_workspace(s, context.order, threads));
  attention_forward_with(table, context, s, x.q.data(), x.k.data(), x.v.data(), x.document_start.data(), r.o.data(), r.row_max.data(),
                         r.row_sum.data(), forward.data());
  EXPECT_TRUE(forward.intact());
  test::Workspace backward(attention_backward_workspace(s, context.order, threads));
  attention_backward_with(table, context, s, x.q.data(), x.k.data(), x.v.data(), r.o.data(), x.d_o.data(), r.row_max.data(),
                          r.row_sum.data(), x.document_start.data(), r.dq.data(), r.dk.data(), r.dv.data(), backward.data());
  EXPECT_TRUE(backward.intact());
  return r;
}

Results kernel(const Context& context, const Case& c, const Inputs& x) {
  return kernel_with(attention_kernel(context.family, context.order), context, c, x);
}

void expect_equal_bits(const Results& a, const Results& b) {
  EXPECT_TRUE(a.o.same_bits(b.o)) << "o";
  EXPECT_TRUE(test::same_bits(a.row_max, b.row_max)) << "row_max";
  EXPECT_TRUE(test::same_bits(a.row_sum, b.row_sum)) << "row_sum";
  EXPECT_TRUE(test::same_bits(a.dq, b.dq)) << "dq";
  EXPECT_TRUE(test::same_bits(a.dk, b.dk)) << "dk";
  EXPECT_TRUE(test::same_bits(a.dv, b.dv)) << "dv";
}

class AttentionBits : public ::testing::TestWithParam<Case> {};

TEST_P(AttentionBits, AreThoseOfTheScalarStatementOnEveryFamilyAndThreadCount) {
  for (const Order order : {Order::fma, Order::dp2}) {
    const Inputs x = inputs(order, GetParam());
    const Results expected = reference(order, GetParam(), x);
    for (const Family family : test::families()) {
      for (const int threads : {1, 2, 3}) {
        SCOPED_TRACE(std::string(name(order)) + " " + std::string(name(family)) + " threads " + std::to_string(threads));
        ThreadPool pool(threads);
        // Each family's own table, also where attention_kernel() would prefer another one.
        expect_equal_bits(kernel_with(LONGHAUL_FAMILY_SELECT(family, attention_table), {pool, family, order}, GetParam(), x), expected);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, AttentionBits,
                         ::testing::Values(Case{1, 1, 1, 1, 8, 0}, Case{2, 1, 2, 1, 16, 0}, Case{1, 63, 2, 2, 24, 0},
                                           Case{1, 64, 2, 1, 64, 0}, Case{2, 65, 2, 2, 16, 0}, Case{1, 65, 4, 1, 8, 0},
                                           Case{1, 130, 4, 2, 80, 0}, Case{1, 130, 1, 1, 128, 0}, Case{1, 130, 2, 1, 64, 17},
                                           Case{2, 130, 2, 1, 32, 65}, Case{1, 200, 1, 1, 48, 64}, Case{1, 33, 1, 1, 7, 10},
                                           Case{1, 259, 1, 1, 8, 100}));

std::vector<double> doubles(const std::vector<float>& x) { return {x.begin(), x.end()}; }

// Worst relative error in the Frobenius norm over o, dq, dk, dv.
double worst_error(const Case& c, const Inputs& x, const Results& r) {
  const auto q = doubles(x.q.floats()), k = doubles(x.k.floats()), v = doubles(x.v.floats());
  const auto o = attention_forward_double(c.shape(), q, k, v, x.document_start);
  const auto gradients = attention_backward_double(c.shape(), q, k, v, doubles(x.d_o), x.document_start);
  return std::max({test::relative_error(r.o.floats(), o), test::relative_error(r.dq, gradients.dq),
                   test::relative_error(r.dk, gradients.dk), test::relative_error(r.dv, gradients.dv)});
}

TEST(Attention, IsSoftmaxAttentionInDoubleUpToRounding) {
  for (const Case& c : {Case{1, 130, 4, 2, 64, 0}, Case{2, 100, 2, 1, 24, 30}}) {
    ThreadPool pool(1);
    const Inputs exact = inputs(Order::fma, c), coarse = inputs(Order::dp2, c);
    EXPECT_LT(worst_error(c, exact, kernel({pool, best_family(), Order::fma}, c, exact)), 2e-6) << c;
    // bf16 has 8 bits: each rounding errs by up to 2^-9, and P, dS, o, dO are rounded once each.
    EXPECT_LT(worst_error(c, coarse, kernel({pool, best_family(), Order::dp2}, c, coarse)), 5e-3) << c;
  }
}

TEST(Attention, DoubleReferenceAgreesWithFiniteDifferences) {
  const Case c{1, 9, 2, 1, 3, 4};
  const Inputs x = inputs(Order::fma, c);
  std::vector<double> in[3] = {doubles(x.q.floats()), doubles(x.k.floats()), doubles(x.v.floats())};
  const std::vector<double> d_o = doubles(x.d_o);
  const auto objective = [&] {
    const auto o = attention_forward_double(c.shape(), in[0], in[1], in[2], x.document_start);
    double sum = 0;
    for (std::size_t i = 0; i < o.size(); ++i) sum += o[i] * d_o[i];
    return sum;
  };
  const auto gradients = attention_backward_double(c.shape(), in[0], in[1], in[2], d_o, x.document_start);
  const std::vector<double>* analytic[3] = {&gradients.dq, &gradients.dk, &gradients.dv};
  for (int tensor = 0; tensor < 3; ++tensor) {
    for (std::size_t i = 0; i < in[tensor].size(); ++i) {
      const double kept = in[tensor][i], h = 1e-5;
      in[tensor][i] = kept + h;
      const double above = objective();
      in[tensor][i] = kept - h;
      const double below = objective();
      in[tensor][i] = kept;
      EXPECT_NEAR((above - below) / (2 * h), (*analytic[tensor])[i], 1e-8) << "tensor " << tensor << " element " << i;
    }
  }
}

TEST(Attention, LogitsOfTenThousandDoNotOverflow) {  // accounting F10
  const Case c{1, 130, 1, 1, 64, 0};
  for (const Order order : {Order::fma, Order::dp2}) {
    const Inputs x = inputs(order, c, 100.0f);  // entries uniform in ±100: scores reach 1e4/√64·√64 = 1e4
    ThreadPool pool(1);
    const Results r = kernel({pool, best_family(), order}, c, x);
    EXPECT_GT(*std::max_element(r.row_max.begin(), r.row_max.end()), 5e3f);
    for (const auto* values : {&r.row_sum, &r.dq, &r.dk, &r.dv}) {
      for (const float value : *values) ASSERT_TRUE(std::isfinite(value));
    }
    const auto o =
        attention_forward_double(c.shape(), doubles(x.q.floats()), doubles(x.k.floats()), doubles(x.v.floats()), x.document_start);
    EXPECT_LT(test::relative_error(r.o.floats(), o), order == Order::fma ? 1e-3 : 1e-2);
  }
}

TEST(Attention, ADocumentThatStartsOnATileHasTheBitsItHasAlone) {
  const Case together{1, 128, 2, 1, 16, 64}, alone{1, 64, 2, 1, 16, 0};
  const Inputs x = inputs(Order::dp2, together);
  const auto second_half = [](const std::vector<float>& values) {
    return std::vector<float>(values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  };
  const Inputs y{Operands(Order::dp2, second_half(x.q.floats())), Operands(Order::dp2, second_half(x.k.floats())),
                 Operands(Order::dp2, second_half(x.v.floats())), second_half(x.d_o), alone.documents()};
  ThreadPool pool(1);
  const Context context{pool, best_family(), Order::dp2};
  const Results whole = kernel(context, together, x), part = kernel(context, alone, y);
  EXPECT_TRUE(test::same_bits(second_half(whole.o.floats()), part.o.floats()));
  EXPECT_TRUE(test::same_bits(second_half(whole.dq), part.dq));
  EXPECT_TRUE(test::same_bits(second_half(whole.dk), part.dk));
  EXPECT_TRUE(test::same_bits(second_half(whole.dv), part.dv));
}

TEST(Attention, NoTokenSeesALaterOne) {
  const Case c{1, 100, 1, 1, 16, 0};
  Inputs x = inputs(Order::fma, c);
  ThreadPool pool(1);
  const Context context{pool, best_family(), Order::fma};
  const std::vector<float> before = kernel(context, c, x).o.floats();
  std::vector<float> k = x.k.floats(), v = x.v.floats();
  for (std::size_t i = 70 * 16; i < k.size(); ++i) k[i] += 3, v[i] -= 2;
  x.k = Operands(Order::fma, k);
  x.v = Operands(Order::fma, v);
  const std::vector<float> after = kernel(context, c, x).o.floats();
  EXPECT_EQ(std::memcmp(before.data(), after.data(), 70 * 16 * sizeof(float)), 0);
  EXPECT_NE(std::memcmp(before.data() + 70 * 16, after.data() + 70 * 16, 16 * sizeof(float)), 0);
}

}  // namespace
}  // namespace longhaul::kernels
