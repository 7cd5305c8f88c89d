#include "kernels/optimizer/optimizer.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "kernels/bf16.h"
#include "kernels/statements/reference.h"
#include "kernels/statements/rows_statement.h"
#include "kernels/statements/test_support.h"

namespace longhaul::kernels {
namespace {

using test::random_floats;
using test::same_bits;

AdamWScalars scalars_of(const reference::AdamW& a, std::int64_t t) {
  AdamWScalars s{};
  s.beta1 = static_cast<float>(a.beta1), s.one_minus_beta1 = static_cast<float>(1 - a.beta1);
  s.beta2 = static_cast<float>(a.beta2), s.one_minus_beta2 = static_cast<float>(1 - a.beta2);
  s.bias1 = static_cast<float>(1 / (1 - std::pow(a.beta1, static_cast<double>(t))));
  s.bias2 = static_cast<float>(1 / (1 - std::pow(a.beta2, static_cast<double>(t))));
  s.learning_rate = static_cast<float>(a.learning_rate), s.decay = static_cast<float>(a.learning_rate * a.weight_decay);
  s.epsilon = static_cast<float>(a.epsilon), s.clip_scale = static_cast<float>(a.clip_scale);
  return s;
}

TEST(AdamW, GoldenValuesInFp32) {  // accounting A1; fp32 rounds 1.5 and 2 by at most 1.2e-7 an operation
  ThreadPool pool(1);
  const Context context{pool, best_family(), Order::fma};
  const reference::AdamW a{.beta1 = 0.9, .beta2 = 0.999, .learning_rate = 1e-3, .epsilon = 1e-8, .weight_decay = 0.1};
  float weight = 1.5f, m = 0, v = 0, g = 0.3f;
  adamw(context, scalars_of(a, 1), &weight, &m, &v, &g, nullptr, nullptr, 0, 0, 1);
  EXPECT_NEAR(weight, 1.4988500000333331, 2.4e-7);
  EXPECT_NEAR(m * 10, 0.3, 1e-7);
  EXPECT_NEAR(v * 1000, 0.09, 1e-7);
  reference::AdamW b = a;
  b.weight_decay = 0.01;
  weight = 2.0f, m = v = 0, g = 0.5f;
  adamw(context, scalars_of(b, 1), &weight, &m, &v, &g, nullptr, nullptr, 0, 0, 1);
  EXPECT_NEAR(weight, 1.99898000002, 2.4e-7);
}

TEST(AdamW, FollowsTheDoubleReferenceForAHundredSteps) {
  ThreadPool pool(2);
  const Context context{pool, best_family(), Order::dp2};
  const reference::AdamW a{.beta1 = 0.9, .beta2 = 0.95, .learning_rate = 1e-3, .epsilon = 1e-8, .weight_decay = 0.1, .clip_scale = 0.7};
  constexpr std::int64_t kCount = 100;
  std::vector<float> weight = random_floats(kCount, 1), m(kCount), v(kCount);
  std::vector<reference::Parameter> exact(kCount);
  for (std::size_t i = 0; i < kCount; ++i) exact[i].weight = static_cast<double>(weight[i]);
  for (std::int64_t t = 1; t <= 100; ++t) {
    const std::vector<float> gradient = random_floats(kCount, static_cast<std::uint64_t>(100 + t));
    adamw(context, scalars_of(a, t), weight.data(), m.data(), v.data(), gradient.data(), nullptr, nullptr, 0, 0, kCount);
    for (std::size_t i = 0; i < kCount; ++i) exact[i] = reference::adamw(a, exact[i], static_cast<double>(gradient[i]), t);
  }
  for (std::size_t i = 0; i < kCount; ++i) EXPECT_NEAR(weight[i], exact[i].weight, 2e-6) << i;
}

TEST(AdamW, EveryFamilyAndThreadCountReturnsTheBitsOfTheStatement) {
  constexpr std::int64_t kCount = 70003;  // several tasks and an odd end
  const std::vector<float> weight = random_floats(kCount, 1), m = random_floats(kCount, 2, 0.1f), gradient = random_floats(kCount, 4, 3.0f);
  const std::vector<float> average = random_floats(kCount, 5);
  std::vector<float> v = random_floats(kCount, 3, 0.1f);
  for (float& x : v) x = std::fabs(x);
  const AdamWScalars s =
      scalars_of({.beta1 = 0.9, .beta2 = 0.95, .learning_rate = 3e-4, .epsilon = 1e-8, .weight_decay = 0.1, .clip_scale = 0.3}, 7);
  ThreadPool one(1), three(3);
  for (const Family family : test::families()) {
    for (ThreadPool* pool : {&one, &three}) {
      std::vector<float> w2 = weight, m2 = m, v2 = v, a2 = average, w3 = weight, m3 = m, v3 = v;
      std::vector<bf16> copy(kCount);
      adamw({*pool, family, Order::dp2}, s, w2.data(), m2.data(), v2.data(), gradient.data(), copy.data(), a2.data(), 0.999f, 0.001f,
            kCount);
      adamw({*pool, family, Order::fma}, s, w3.data(), m3.data(), v3.data(), gradient.data(), nullptr, nullptr, 0, 0, kCount);
      EXPECT_TRUE(same_bits(w2, w3) && same_bits(m2, m3) && same_bits(v2, v3)) << "copy and average reach the update";
      for (std::size_t i = 0; i < kCount; ++i) {
        const statement::Parameter p = statement::adamw(s, {weight[i], m[i], v[i], average[i]}, gradient[i], 0.999f, 0.001f);
        ASSERT_EQ(scalar::bits(p.weight), scalar::bits(w2[i])) << i << ' ' << name(family);
        ASSERT_EQ(scalar::bits(p.moment1), scalar::bits(m2[i])) << i;
        ASSERT_EQ(scalar::bits(p.moment2), scalar::bits(v2[i])) << i;
        ASSERT_EQ(scalar::bits(p.average), scalar::bits(a2[i])) << i;
        ASSERT_EQ(to_bf16(p.weight).bits, copy[i].bits) << i;
      }
    }
  }
}

/// The gradient as adamw() clips it: the first moment of an update with beta1 = 0.
std::vector<float> clipped(const std::vector<float>& gradient, double norm, double limit) {
  ThreadPool pool(1);
  const std::size_t count = gradient.size();
  std::vector<float> weight(count), moment1(count), moment2(count);
  AdamWScalars s{};
  s.one_minus_beta1 = s.one_minus_beta2 = s.bias1 = s.bias2 = s.epsilon = 1;
  s.clip_scale = static_cast<float>(limit / norm);
  adamw({pool, best_family(), Order::fma}, s, weight.data(), moment1.data(), moment2.data(), gradient.data(), nullptr, nullptr, 0, 0,
        static_cast<std::int64_t>(count));
  return moment1;
}

// Accounting A2: norm over all tensors, then one scale.
TEST(Clip, GoldenValues) {
  ThreadPool pool(1);
  const Context context{pool, best_family(), Order::fma};
  const std::vector<float> long_one = {3, 4, 12}, short_one = {6, 8};
  const double norm = std::sqrt(sum_of_squares(context, long_one.data(), 3));
  EXPECT_EQ(norm, 13.0);
  EXPECT_NEAR(std::sqrt(sum_of_squares(context, clipped(long_one, norm, 5).data(), 3)), 5.0, 1e-6);
  EXPECT_EQ(clipped(short_one, std::sqrt(sum_of_squares(context, short_one.data(), 2)), 5), (std::vector<float>{3, 4}));
}

TEST(SumOfSquares, IsBlocksOf65536InOrderEachInLanesAndTheTree) {
  constexpr std::int64_t kCount = 2 * 65536 + 777;
  const std::vector<float> x = random_floats(kCount, 9);
  double expected = 0;
  for (std::int64_t block = 0; block < kCount; block += 65536) {
    double lanes[16] = {};
    for (std::int64_t i = block; i < std::min(kCount, block + 65536); ++i) {
      const double a = static_cast<double>(x[static_cast<std::size_t>(i)]);
      lanes[i % 16] = std::fma(a, a, lanes[i % 16]);
    }
    for (int width = 8; width > 0; width /= 2) {
      for (int i = 0; i < width; ++i) lanes[i] = lanes[2 * i] + lanes[2 * i + 1];
    }
    expected += lanes[0];
  }
  ThreadPool one(1), three(3);
  for (const Family family : test::families()) {
    for (ThreadPool* pool : {&one, &three}) {
      EXPECT_EQ(std::bit_cast<std::uint64_t>(expected),
                std::bit_cast<std::uint64_t>(sum_of_squares({*pool, family, Order::fma}, x.data(), kCount)))
          << name(family);
    }
  }
}

TEST(AddLeaves, AddsAndTakesTheSquaresBeforeInOnePass) {
  constexpr std::int64_t kFirst = 70003, kGap = 13, kSecond = 1000, kAll = kFirst + kGap + kSecond;
  const std::vector<float> a = random_floats(kAll, 1), b = random_floats(kAll, 2);
  std::vector<Block> blocks;
  append_blocks(0, kFirst, blocks);
  append_blocks(kFirst + kGap, kSecond, blocks);
  ASSERT_EQ(blocks.size(), 3u);
  ThreadPool one(1), three(3);
  const auto squares = [&](const std::vector<float>& x, const Block& block) {
    return sum_of_squares({one, Family::avx2, Order::fma}, x.data() + block.begin, block.count);
  };
  for (const Family family : test::families()) {
    for (ThreadPool* pool : {&one, &three}) {
      std::vector<float> x = a;
      std::vector<double> of_a(3), of_b(3);
      add_leaves({*pool, family, Order::fma}, x.data(), b.data(), blocks, of_a.data(), of_b.data());
      for (std::size_t i = 0; i < 3; ++i) {
        EXPECT_EQ(of_a[i], squares(a, blocks[i])) << name(family);
        EXPECT_EQ(of_b[i], squares(b, blocks[i])) << name(family);
      }
      for (std::int64_t i = 0; i < kAll; ++i) {
        const auto at = static_cast<std::size_t>(i);
        ASSERT_EQ(x[at], i >= kFirst && i < kFirst + kGap ? a[at] : a[at] + b[at]) << i;
      }
    }
  }
}

TEST(Add, IsElementwise) {
  constexpr std::int64_t kCount = 50021;
  const std::vector<float> a = random_floats(kCount, 1), b = random_floats(kCount, 2);
  ThreadPool three(3);
  for (const Family family : test::families()) {
    std::vector<float> x = a;
    add_into({three, family, Order::fma}, x.data(), b.data(), kCount);
    for (std::size_t i = 0; i < kCount; ++i) ASSERT_EQ(x[i], a[i] + b[i]) << i;
  }
}

}  // namespace
}  // namespace longhaul::kernels
