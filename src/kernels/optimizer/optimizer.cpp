#include "kernels/optimizer/optimizer.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "kernels/optimizer/optimizer_family.h"
#include "kernels/partition.h"

namespace longhaul::kernels {
namespace {

const OptimizerTable& table(const Context& context) { return LONGHAUL_FAMILY_SELECT(context.family, optimizer_table); }

}  // namespace

void adamw(const Context& context, const AdamWScalars& scalars, float* weight, float* moment1, float* moment2, const float* gradient,
           bf16* copy, float* average, float ema_beta, float ema_one_minus_beta, std::int64_t count) {
  const OptimizerTable& kernels = table(context);
  run_elements(context, count, 7 * 4 + (copy ? 2 : 0) + (average ? 8 : 0), [&](std::int64_t begin, std::int64_t end) {
    kernels.adamw(scalars, weight + begin, moment1 + begin, moment2 + begin, gradient + begin, copy ? copy + begin : nullptr,
                  average ? average + begin : nullptr, ema_beta, ema_one_minus_beta, end - begin);
  });
}

std::vector<UpdateSquares> adamw_measured(const Context& context, const AdamWScalars& scalars, float* weight, float* moment1,
                                          float* moment2, const float* gradient, bf16* copy, float* average, float ema_beta,
                                          float ema_one_minus_beta, std::int64_t count, std::int64_t block_size) {
  const OptimizerTable& kernels = table(context);
  std::vector<std::vector<float>> before(static_cast<std::size_t>(context.pool.threads()));
  std::vector<UpdateSquares> blocks(static_cast<std::size_t>((count + block_size - 1) / block_size));
  context.pool.run(std::ssize(blocks), [&](std::int64_t block, int thread) {
    const std::int64_t at = block * block_size, size = std::min(block_size, count - at);
    std::vector<float>& old = before[static_cast<std::size_t>(thread)];
    old.assign(weight + at, weight + at + size);
    kernels.adamw(scalars, weight + at, moment1 + at, moment2 + at, gradient + at, copy ? copy + at : nullptr,
                  average ? average + at : nullptr, ema_beta, ema_one_minus_beta, size);
    blocks[static_cast<std::size_t>(block)] = {kernels.sum_of_squared_differences(weight + at, old.data(), size),
                                               kernels.sum_of_squares(weight + at, size)};
  });
  return blocks;
}

double sum_of_squares(const Context& context, const float* x, std::int64_t count) {
  std::vector<Block> blocks;
  append_blocks(0, count, blocks);
  std::vector<double> squares(blocks.size());
  squares_of_blocks(context, x, blocks, squares.data());
  double sum = 0;
  for (const double block : squares) sum += block;
  return sum;
}

void append_blocks(std::int64_t begin, std::int64_t count, std::vector<Block>& blocks) {
  for (std::int64_t at = 0; at < count; at += kBlock) blocks.push_back({begin + at, std::min(kBlock, count - at)});
}

void squares_of_blocks(const Context& context, const float* x, std::span<const Block> blocks, double* squares) {
  const OptimizerTable& kernels = table(context);
  context.pool.run(std::ssize(blocks), [&](std::int64_t index, int) {
    const Block& block = blocks[static_cast<std::size_t>(index)];
    squares[index] = kernels.sum_of_squares(x + block.begin, block.count);
  });
}

void add_into(const Context& context, float* a, const float* b, std::int64_t count) {
  const OptimizerTable& kernels = table(context);
  run_elements(context, count, 12, [&](std::int64_t begin, std::int64_t end) { kernels.add_into(a + begin, b + begin, end - begin); });
}

void add_leaves(const Context& context, float* a, const float* b, std::span<const Block> blocks, double* squares_a, double* squares_b) {
  const OptimizerTable& kernels = table(context);
  context.pool.run(std::ssize(blocks), [&](std::int64_t index, int) {
    const Block& block = blocks[static_cast<std::size_t>(index)];
    const LeafSquares squares = kernels.add_into_squares(a + block.begin, b + block.begin, block.count);
    squares_a[index] = squares.a;
    squares_b[index] = squares.b;
  });
}

void zero(const Context& context, float* x, std::int64_t count) {
  constexpr std::int64_t kChunk = 1 << 18;  // 1 MiB a task: large against the cost of handing it out
  context.pool.run((count + kChunk - 1) / kChunk, [&](std::int64_t chunk, int) {
    const std::int64_t first = chunk * kChunk;
    std::memset(x + first, 0, sizeof(float) * static_cast<std::size_t>(std::min(kChunk, count - first)));
  });
}

}  // namespace longhaul::kernels
