// kernels/loss/loss.h — language-model head and cross-entropy by blocks of tokens: a block keeps its logits over the whole vocabulary (all
// tiles of 8,192) until its gradient is made; logits of all tokens never exist and the head is multiplied once.
//
// x: [n, width] operand type (final norm's output); head: view [vocab, width]; targets: [n]; loss_mask: [n] (0 = no target there).
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/context.h"
#include "kernels/product/gemm.h"

namespace longhaul::kernels {

/// Tokens whose logits live at once. Blocks never reach a bit: chains run on from block to block.
struct LossShape {
  std::int64_t tokens, width, vocab;
  std::int64_t sequence_length;  ///< dp2 pairs of the head's weight gradient restart there
  std::int64_t block_tokens;     ///< used as whole sequences, or an even part of one: rounded down to that, at least 2 tokens
};
/// A block size whose logits stay under `budget` bytes while the head's weight-gradient GEMM stays efficient.
std::int64_t loss_block_tokens(std::int64_t vocab, std::int64_t sequence_length, std::size_t budget_bytes = std::size_t{128} << 20);

/// Per-token losses (nats, fp32; 0 where masked), d_x [n, width] fp32 (overwritten), d_head [vocab, width] fp32 (chain continued from
/// its present value). dlogits carry `scale` = 1 / unmasked targets of the global batch.
/// @throws DataError   an unmasked target is outside the vocabulary (targets of masked tokens are not looked at)
void loss_forward_backward(const Context& context, const LossShape& shape, const void* x, MatrixView head, const std::int32_t* targets,
                           const std::uint8_t* loss_mask, float scale, float* token_loss, float* d_x, float* d_head, void* workspace);
/// Per-token losses only (evaluation).
void loss_forward(const Context& context, const LossShape& shape, const void* x, MatrixView head, const std::int32_t* targets,
                  const std::uint8_t* loss_mask, float* token_loss, void* workspace);
/// Bytes of workspace, 64-byte aligned: the logits of one block, fp32, rows of vocab rounded up to 16. Gradients replace a row's logits
/// from its first byte, in operand type, so they need no room of their own. (Threads and direction make no difference today.)
std::size_t loss_workspace(const LossShape& shape, Order order, int threads, bool backward);

}  // namespace longhaul::kernels
