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

void zero(const Context& context, float* x, std::int64_t count) {
  constexpr std::int64_t kChunk = 1 << 18;  // 1 MiB a task: large against the cost of handing it out
  context.pool.run((count + kChunk - 1) / kChunk, [&](std::int64_t chunk, int) {
    const std::int64_t first = chunk * kChunk;
    std::memset(x + first, 0, sizeof(float) * static_cast<std::size_t>(std::min(kChunk, count - first)));
  });
}

}  // namespace longhaul::kernels
