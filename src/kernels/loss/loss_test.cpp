// What the loss promises: the scalar statement's bits on every family, thread count and block size; the right mathematics; masked tokens
// count for nothing; no overflow (accounting F10).
#include "kernels/loss/loss.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/statements/loss_reference.h"
#include "kernels/statements/test_support.h"
#include "units/error.h"

namespace longhaul::kernels {
namespace {

using test::Operands;

constexpr std::int64_t kWholeBatch = 1 << 20;

struct Case {
  std::int64_t sequences, sequence_length, width, vocab;
  LossShape shape(std::int64_t block = kWholeBatch) const { return {sequences * sequence_length, width, vocab, sequence_length, block}; }
  std::int64_t tokens() const { return sequences * sequence_length; }
};

std::ostream& operator<<(std::ostream& out, const Case& c) {
  return out << "B" << c.sequences << " T" << c.sequence_length << " C" << c.width << " V" << c.vocab;
}

struct Inputs {
  Operands x, head;
  std::vector<std::int32_t> targets;
  std::vector<std::uint8_t> mask;
  std::vector<float> d_head;  // where the chain stands before this micro-batch
  float scale;
};
Inputs inputs(Order order, const Case& c, float amplitude = 1.0f) {
  Inputs out{Operands(order, test::random_floats(c.tokens() * c.width, 1, amplitude)),
             Operands(order, test::random_floats(c.vocab * c.width, 2, amplitude)),
             {},
             {},
             test::random_floats(c.vocab * c.width, 3, 0.1f),
             0};
  for (std::int64_t t = 0; t < c.tokens(); ++t) {
    out.mask.push_back(t % 5 != 3);
    out.targets.push_back(out.mask.back() != 0 ? static_cast<std::int32_t>(t * 7919 % c.vocab) : -1);
  }
  out.scale = 1.0f / static_cast<float>(std::count(out.mask.begin(), out.mask.end(), 1));
  return out;
}

struct Results {
  std::vector<float> token_loss, d_x, d_head;
  Results(const Case& c, const Inputs& x)
      : token_loss(static_cast<std::size_t>(c.tokens()), NAN), d_x(static_cast<std::size_t>(c.tokens() * c.width), NAN), d_head(x.d_head) {}
};

MatrixView head_view(Order order, const Case& c, const Inputs& x) {
  return row_major(x.head.data(), operand_type(order), c.vocab, c.width);
}

Results reference(Order order, const Case& c, const Inputs& x) {
  Results r(c, x);
  loss_reference(order, c.shape(), x.x.data(), head_view(order, c, x), x.targets.data(), x.mask.data(), x.scale, r.token_loss.data(),
                 r.d_x.data(), r.d_head.data());
  return r;
}

Results kernel(const Context& context, const Case& c, const Inputs& x, std::int64_t block = kWholeBatch) {
  Results r(c, x);
  const LossShape shape = c.shape(block);
  test::Workspace workspace(loss_workspace(shape, context.order, context.pool.threads(), true));
  loss_forward_backward(context, shape, x.x.data(), head_view(context.order, c, x), x.targets.data(), x.mask.data(), x.scale,
                        r.token_loss.data(), r.d_x.data(), r.d_head.data(), workspace.data());
  EXPECT_TRUE(workspace.intact());
  return r;
}

class LossBits : public ::testing::TestWithParam<Case> {};

TEST_P(LossBits, AreThoseOfTheScalarStatementOnEveryFamilyThreadCountAndBlock) {
  const Case c = GetParam();
  for (const Order order : {Order::fma, Order::dp2}) {
    const Inputs x = inputs(order, c);
    const Results expected = reference(order, c, x);
    for (const Family family : test::families()) {
      for (const auto& [threads, block] : {std::pair<int, std::int64_t>{1, kWholeBatch}, {2, 2}, {2, c.sequence_length}, {3, 4}}) {
        SCOPED_TRACE(std::string(name(order)) + " " + std::string(name(family)) + " threads " + std::to_string(threads) + " block " +
                     std::to_string(block));
        ThreadPool pool(threads);
        const Results r = kernel({pool, family, order}, c, x, block);
        EXPECT_TRUE(test::same_bits(r.token_loss, expected.token_loss)) << "token_loss";
        EXPECT_TRUE(test::same_bits(r.d_x, expected.d_x)) << "d_x";
        EXPECT_TRUE(test::same_bits(r.d_head, expected.d_head)) << "d_head";
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, LossBits,
                         ::testing::Values(Case{1, 1, 8, 7}, Case{3, 5, 17, 33}, Case{2, 8, 16, 100}, Case{1, 7, 24, 8192},
                                           Case{2, 3, 9, 8193}, Case{1, 6, 8, 20011}));

std::vector<double> doubles(const std::vector<float>& x) { return {x.begin(), x.end()}; }

TEST(Loss, IsCrossEntropyInDoubleUpToRounding) {
  const Case c{2, 9, 32, 1000};
  for (const Order order : {Order::fma, Order::dp2}) {
    Inputs x = inputs(order, c);
    std::fill(x.d_head.begin(), x.d_head.end(), 0.0f);
    ThreadPool pool(1);
    const Results r = kernel({pool, best_family(), order}, c, x);
    const LossDouble d = loss_double(c.shape(), doubles(x.x.floats()), doubles(x.head.floats()), x.targets, x.mask, x.scale);
    EXPECT_LT(test::relative_error(r.token_loss, d.token_loss), 1e-6);
    const double tolerance = order == Order::fma ? 2e-6 : 4e-3;  // dlogits are rounded once to the 8 bits of bf16
    EXPECT_LT(test::relative_error(r.d_x, d.d_x), tolerance);
    EXPECT_LT(test::relative_error(r.d_head, d.d_head), tolerance);
  }
}

TEST(Loss, DoubleReferenceAgreesWithFiniteDifferences) {
  const Case c{1, 4, 3, 5};
  const Inputs in = inputs(Order::fma, c);
  std::vector<double> x = doubles(in.x.floats()), head = doubles(in.head.floats());
  const double scale = 0.25;
  const auto objective = [&] {
    double sum = 0;
    for (const double loss : loss_double(c.shape(), x, head, in.targets, in.mask, scale).token_loss) sum += scale * loss;
    return sum;
  };
  const LossDouble analytic = loss_double(c.shape(), x, head, in.targets, in.mask, scale);
  const auto check = [&](std::vector<double>& values, const std::vector<double>& gradient) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double kept = values[i], h = 1e-5;
      values[i] = kept + h;
      const double above = objective();
      values[i] = kept - h;
      const double below = objective();
      values[i] = kept;
      EXPECT_NEAR((above - below) / (2 * h), gradient[i], 1e-9) << i;
    }
  };
  check(x, analytic.d_x);
  check(head, analytic.d_head);
}

TEST(Loss, OfEqualLogitsIsTheLogarithmOfTheVocabulary) {
  const Case c{1, 4, 8, 50257};
  Inputs x = inputs(Order::dp2, c);
  x.x = Operands(Order::dp2, std::vector<float>(static_cast<std::size_t>(c.tokens() * c.width), 0.0f));
  ThreadPool pool(1);
  EXPECT_NEAR(kernel({pool, best_family(), Order::dp2}, c, x).token_loss[0], std::log(50257.0), 1e-5);
}

TEST(Loss, LogitsOfTenThousandDoNotOverflow) {  // accounting F10
  const Case c{1, 6, 16, 9000};
  const Inputs x = inputs(Order::fma, c, 40.0f);  // products up to 1600, sums of 16
  ThreadPool pool(1);
  const Results r = kernel({pool, best_family(), Order::fma}, c, x);
  const LossDouble d = loss_double(c.shape(), doubles(x.x.floats()), doubles(x.head.floats()), x.targets, x.mask, x.scale);
  EXPECT_GT(*std::max_element(d.token_loss.begin(), d.token_loss.end()), 1e4);
  EXPECT_LT(test::relative_error(r.token_loss, d.token_loss), 1e-6);
  EXPECT_LT(test::relative_error(r.d_x, d.d_x), 1e-3);
}

TEST(Loss, MaskedTokensHaveNoLossAndNoGradient) {
  const Case c{1, 10, 16, 50};
  Inputs x = inputs(Order::dp2, c);
  std::fill(x.mask.begin(), x.mask.end(), std::uint8_t{0});
  x.mask[2] = 1;
  x.targets[2] = 11;
  ThreadPool pool(2);
  const Results r = kernel({pool, best_family(), Order::dp2}, c, x);
  for (std::size_t t = 0; t < 10; ++t) {
    EXPECT_EQ(r.token_loss[t] > 0, t == 2) << t;
    const bool moved = std::any_of(r.d_x.begin() + static_cast<std::ptrdiff_t>(16 * t),
                                   r.d_x.begin() + static_cast<std::ptrdiff_t>(16 * t + 16), [](float g) { return g != 0; });
    EXPECT_EQ(moved, t == 2) << t;
  }
}

TEST(Loss, ForwardAloneGivesTheSameLosses) {
  const Case c{2, 7, 16, 9001};
  for (const Order order : {Order::fma, Order::dp2}) {
    const Inputs x = inputs(order, c);
    ThreadPool pool(2);
    const Context context{pool, best_family(), order};
    const LossShape shape = c.shape(4);
    std::vector<float> losses(static_cast<std::size_t>(c.tokens()), NAN);
    test::Workspace workspace(loss_workspace(shape, order, 2, false));
    loss_forward(context, shape, x.x.data(), head_view(order, c, x), x.targets.data(), x.mask.data(), losses.data(), workspace.data());
    EXPECT_TRUE(workspace.intact());
    EXPECT_TRUE(test::same_bits(losses, kernel(context, c, x).token_loss));
  }
}

TEST(Loss, ATargetOutsideTheVocabularyIsADataError) {
  const Case c{1, 2, 8, 10};
  Inputs x = inputs(Order::fma, c);
  x.targets[1] = 10;
  ThreadPool pool(1);
  EXPECT_THROW(kernel({pool, best_family(), Order::fma}, c, x), DataError);
}

TEST(Loss, BlocksFitTheBudgetAndNeverSplitAPair) {
  EXPECT_EQ(loss_block_tokens(50257, 1024), 512);   // 667 rows fit in 128 MiB: two halves of a sequence
  EXPECT_EQ(loss_block_tokens(32000, 128), 1024);   // eight whole sequences
  EXPECT_EQ(loss_block_tokens(50257, 1021), 512);   // 512 + 509
  EXPECT_EQ(loss_block_tokens(1 << 20, 4096), 64);  // never so short that the weight gradient is all loads and stores
  EXPECT_EQ(loss_block_tokens(1 << 20, 33), 33);
}

}  // namespace
}  // namespace longhaul::kernels
