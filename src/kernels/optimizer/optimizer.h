// kernels/optimizer/optimizer.h — AdamW, EMA, clip and the norms they need, as exact sequences of fused operations (docs/numerics.md).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/context.h"

namespace longhaul::kernels {

/// Numerics contract: the elements over which squares are summed, and the smallest piece that ZeRO hands to a rank.
inline constexpr std::int64_t kBlock = 65536;

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

/// A block of sum_of_squares() in an array that holds several tensors.
struct Block {
  std::int64_t begin = 0, count = 0;
};
/// The blocks of a tensor, in order, at the end of `blocks`.
void append_blocks(std::int64_t begin, std::int64_t count, std::vector<Block>& blocks);
/// Σ x² of each block by itself: squares[i] of blocks[i].
void squares_of_blocks(const Context& context, const float* x, std::span<const Block> blocks, double* squares);
/// add_into() over blocks (what lies between them stays as it is), and in the same pass the squares of each block of a and b before one is
/// added to the other. squares_a, squares_b: one of each block.
void add_leaves(const Context& context, float* a, const float* b, std::span<const Block> blocks, double* squares_a, double* squares_b);

/// ‖update‖² and ‖weight‖² of a block, the latter after the update.
struct UpdateSquares {
  double update = 0, weight = 0;
};
/// adamw() with the same bits, and what it did to the weights, block by block: 256 KiB of memory a thread for a block of the old ones.
/// @param block  elements of a block; the last one may be shorter
std::vector<UpdateSquares> adamw_measured(const Context& context, const AdamWScalars& scalars, float* weight, float* moment1,
                                          float* moment2, const float* gradient, bf16* copy, float* average, float ema_beta,
                                          float ema_one_minus_beta, std::int64_t count, std::int64_t block = kBlock);
/// x[i] = 0: a gradient leaf begins.
void zero(const Context& context, float* x, std::int64_t count);

}  // namespace longhaul::kernels
