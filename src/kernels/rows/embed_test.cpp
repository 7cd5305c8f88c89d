#include <gtest/gtest.h>

#include "kernels/rows/rows.h"
#include "kernels/statements/test_support.h"

namespace longhaul::kernels {
namespace {

using test::random_floats;
using test::same_bits;

constexpr std::int64_t kTokens = 700, kWidth = 147, kVocab = 13, kPositions = 50;

TEST(Embed, LooksUpRowsAndAddsGradientsInTokenOrder) {
  std::vector<std::int32_t> tokens, positions;
  for (std::int32_t t = 0; t < kTokens; ++t) {
    tokens.push_back(static_cast<std::int32_t>(t * t % kVocab));
    positions.push_back(static_cast<std::int32_t>(t % kPositions));
  }
  const std::vector<float> table = random_floats(kVocab * kWidth, 1), position_table = random_floats(kPositions * kWidth, 2);
  const std::vector<float> d_out = random_floats(kTokens * kWidth, 3);
  const std::vector<float> d_table = random_floats(kVocab * kWidth, 4), d_positions = random_floats(kPositions * kWidth, 5);

  std::vector<float> rows(kTokens * kWidth), both(kTokens * kWidth), d_table_expected = d_table, d_positions_expected = d_positions;
  for (std::size_t t = 0; t < kTokens; ++t) {
    for (std::size_t i = 0; i < kWidth; ++i) {
      const std::size_t row = static_cast<std::size_t>(tokens[t]) * kWidth + i,
                        position = static_cast<std::size_t>(positions[t]) * kWidth + i;
      rows[t * kWidth + i] = table[row];
      both[t * kWidth + i] = table[row] + position_table[position];
      d_table_expected[row] += d_out[t * kWidth + i];
      d_positions_expected[position] += d_out[t * kWidth + i];
    }
  }
  ThreadPool one(1), three(3);
  for (const Family family : test::families()) {
    for (ThreadPool* pool : {&one, &three}) {
      const Context context{*pool, family, Order::dp2};  // rows are fp32 whatever the order
      std::vector<float> out(kTokens * kWidth), d_a = d_table, d_b = d_positions;
      embed_forward(context, tokens.data(), nullptr, table.data(), nullptr, out.data(), kTokens, kWidth);
      EXPECT_TRUE(same_bits(out, rows)) << name(family);
      embed_forward(context, tokens.data(), positions.data(), table.data(), position_table.data(), out.data(), kTokens, kWidth);
      EXPECT_TRUE(same_bits(out, both)) << name(family);
      embed_backward(context, tokens.data(), positions.data(), d_out.data(), d_a.data(), d_b.data(), kTokens, kWidth);
      EXPECT_TRUE(same_bits(d_a, d_table_expected) && same_bits(d_b, d_positions_expected)) << name(family);
      d_a = d_table;
      embed_backward(context, tokens.data(), nullptr, d_out.data(), d_a.data(), nullptr, kTokens, kWidth);
      EXPECT_TRUE(same_bits(d_a, d_table_expected)) << name(family);
    }
  }
}

}  // namespace
}  // namespace longhaul::kernels
