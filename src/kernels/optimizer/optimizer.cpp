#include "kernels/optimizer/optimizer.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "kernels/optimizer/optimizer_family.h"
#include "kernels/partition.h"

namespace longhaul::kernels {
namespace {

// Numerics contract: the norm's blocks, and the smallest piece that ZeRO hands to a rank.
constexpr std::int64_t kNormBlock = 65536;

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

UpdateSquares adamw_measured(const Context& context, const AdamWScalars& scalars, float* weight, float* moment1, float* moment2,
                             const float* gradient, bf16* copy, float* average, float ema_beta, float ema_one_minus_beta,
                             std::int64_t count) {
  const OptimizerTable& kernels = table(context);
  std::vector<std::vector<float>> before(static_cast<std::size_t>(context.pool.threads()));
  std::vector<UpdateSquares> blocks(static_cast<std::size_t>((count + kNormBlock - 1) / kNormBlock));
  context.pool.run(std::ssize(blocks), [&](std::int64_t block, int thread) {
    const std::int64_t at = block * kNormBlock, size = std::min(kNormBlock, count - at);
    std::vector<float>& old = before[static_cast<std::size_t>(thread)];
    old.assign(weight + at, weight + at + size);
    kernels.adamw(scalars, weight + at, moment1 + at, moment2 + at, gradient + at, copy ? copy + at : nullptr,
                  average ? average + at : nullptr, ema_beta, ema_one_minus_beta, size);
    blocks[static_cast<std::size_t>(block)] = {kernels.sum_of_squared_differences(weight + at, old.data(), size),
                                               kernels.sum_of_squares(weight + at, size)};
  });
  UpdateSquares sum;
  for (const UpdateSquares& block : blocks) {
    sum.update += block.update;
    sum.weight += block.weight;
  }
  return sum;
}

double sum_of_squares(const Context& context, const float* x, std::int64_t count) {
  const OptimizerTable& kernels = table(context);
  std::vector<double> blocks(static_cast<std::size_t>((count + kNormBlock - 1) / kNormBlock));
  context.pool.run(static_cast<std::int64_t>(blocks.size()), [&](std::int64_t block, int) {
    blocks[static_cast<std::size_t>(block)] =
        kernels.sum_of_squares(x + block * kNormBlock, std::min(kNormBlock, count - block * kNormBlock));
  });
  double sum = 0;
  for (const double block : blocks) sum += block;
  return sum;
}

void add_into(const Context& context, float* a, const float* b, std::int64_t count) {
  const OptimizerTable& kernels = table(context);
  run_elements(context, count, 12, [&](std::int64_t begin, std::int64_t end) { kernels.add_into(a + begin, b + begin, end - begin); });
}

void append_norm_blocks(std::int64_t begin, std::int64_t count, std::int64_t tied, std::vector<NormBlock>& blocks) {
  for (std::int64_t at = 0; at < count; at += kNormBlock)
    blocks.push_back({begin + at, std::min(kNormBlock, count - at), tied < 0 ? -1 : tied + at});
}

LeafSquares add_leaves(const Context& context, float* a, const float* b, std::span<const NormBlock> blocks) {
  const OptimizerTable& kernels = table(context);
  std::vector<LeafSquares> squares(blocks.size());
  context.pool.run(std::ssize(blocks), [&](std::int64_t index, int) {
    const NormBlock& block = blocks[static_cast<std::size_t>(index)];
    LeafSquares& out = squares[static_cast<std::size_t>(index)];
    if (block.tied < 0) {
      out = kernels.add_into_squares(a + block.begin, b + block.begin, block.count);
      return;
    }
    out = {kernels.sum_of_squared_sums(a + block.begin, a + block.tied, block.count),
           kernels.sum_of_squared_sums(b + block.begin, b + block.tied, block.count)};
    kernels.add_into(a + block.begin, b + block.begin, block.count);
    kernels.add_into(a + block.tied, b + block.tied, block.count);
  });
  LeafSquares sum;  // one chain over all blocks, as tensors and their blocks come
  for (const LeafSquares& block : squares) {
    sum.a += block.a;
    sum.b += block.b;
  }
  return sum;
}

void zero(const Context& context, float* x, std::int64_t count) {
  constexpr std::int64_t kChunk = 1 << 18;  // 1 MiB a task: large against the cost of handing it out
  context.pool.run((count + kChunk - 1) / kChunk, [&](std::int64_t chunk, int) {
    const std::int64_t first = chunk * kChunk;
    std::memset(x + first, 0, sizeof(float) * static_cast<std::size_t>(std::min(kChunk, count - first)));
  });
}

}  // namespace longhaul::kernels
