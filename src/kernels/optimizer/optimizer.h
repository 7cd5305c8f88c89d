// kernels/optimizer/optimizer.h — AdamW, EMA, clip and the norms they need, as exact sequences of fused operations (docs/numerics.md).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/context.h"

namespace longhaul::kernels {

/// Scalars of one update, computed in double and rounded once to fp32 (accounting A1).
struct AdamWScalars {
  float beta1, one_minus_beta1;
  float beta2, one_minus_beta2;
  float bias1, bias2;   ///< 1/(1-β1^t), 1/(1-β2^t)
  float learning_rate;  ///< η
  float decay;          ///< η·λ; 0 where the tensor does not decay
  float epsilon;
  float clip_scale;  ///< min(1, c/‖g‖): multiplies the gradient first (accounting A2)
};
/// One update of `count` elements. copy (bf16, may be null): the operand copy of the weights. average (may be null): EMA, updated after
/// the weights with `ema_beta` (accounting A9).
void adamw(const Context& context, const AdamWScalars& scalars, float* weight, float* moment1, float* moment2, const float* gradient,
           bf16* copy, float* average, float ema_beta, float ema_one_minus_beta, std::int64_t count);

/// Σ x² in fp64 over fixed blocks of 65,536 elements (16 lanes and the tree inside a block), blocks added in order.
double sum_of_squares(const Context& context, const float* x, std::int64_t count);
/// a[i] += b[i]: one node of the tree over gradient leaves, and the addition of tied gradients.
void add_into(const Context& context, float* a, const float* b, std::int64_t count);

/// One of sum_of_squares()'s blocks: at most 65,536 elements of one tensor.
struct NormBlock {
  std::int64_t begin = 0, count = 0;
  std::int64_t tied = -1;  ///< where the second accumulator of a tied tensor has the same elements; −1: there is none
};
/// The blocks of a tensor, in order, at the end of `blocks`.
void append_norm_blocks(std::int64_t begin, std::int64_t count, std::int64_t tied, std::vector<NormBlock>& blocks);

/// Σ a² and Σ b² of two gradient leaves before one is added to the other.
struct LeafSquares {
  double a = 0, b = 0;
};
/// add_into() over the blocks of all tensors (the padding between them stays 0), and in the same pass the squares as sum_of_squares() has
/// them, tensor by tensor, blocks in order; of a tied tensor the squares of the sum of its two accumulators.
LeafSquares add_leaves(const Context& context, float* a, const float* b, std::span<const NormBlock> blocks);

/// ‖update‖² and ‖weight‖² of a tensor, the latter after the update, as sum_of_squares() has them.
struct UpdateSquares {
  double update = 0, weight = 0;
};
/// adamw() with the same bits, and what it did to the weights: 256 KiB of memory a thread for a block of the old ones.
UpdateSquares adamw_measured(const Context& context, const AdamWScalars& scalars, float* weight, float* moment1, float* moment2,
                             const float* gradient, bf16* copy, float* average, float ema_beta, float ema_one_minus_beta,
                             std::int64_t count);
/// x[i] = 0: a gradient leaf begins.
void zero(const Context& context, float* x, std::int64_t count);

}  // namespace longhaul::kernels
