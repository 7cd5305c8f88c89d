// kernels/attention/attention.h — causal attention with document masks, online softmax over key tiles of 64, no T×T matrix in memory.
//
// Shapes: sequences B, length T, heads H, key/value heads G (H a multiple of G), head_dim D. q, o: [B*T, H*D]; k, v: [B*T, G*D]; operands
// have the context order's type (f32 or bf16); statistics and gradients are fp32. Query t of a sequence sees keys document_start[t] … t of
// the same sequence (document_start is relative to the sequence; all zeros without isolation). Rounding points, chains and tiles: numerics
// contract.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/context.h"

namespace longhaul::kernels {

struct AttentionShape {
  std::int64_t sequences, sequence_length;
  std::int64_t heads, kv_heads, head_dim;
};

/// o [B*T, H*D] in operand type; row_max, row_sum: [B*H*T] fp32 statistics that the backward pass reads.
/// workspace: attention_forward_workspace() bytes, 64-byte aligned.
void attention_forward(const Context& context, const AttentionShape& shape, const void* q, const void* k, const void* v,
                       const std::int32_t* document_start, void* o, float* row_max, float* row_sum, void* workspace);
std::size_t attention_forward_workspace(const AttentionShape& shape, Order order, int threads);

/// d_o: [B*T, H*D] fp32 (rounded to operand type inside where it feeds a product). Writes dq [B*T, H*D], dk, dv [B*T, G*D] fp32
/// (overwritten).
void attention_backward(const Context& context, const AttentionShape& shape, const void* q, const void* k, const void* v, const void* o,
                        const float* d_o, const float* row_max, const float* row_sum, const std::int32_t* document_start, float* dq,
                        float* dk, float* dv, void* workspace);
std::size_t attention_backward_workspace(const AttentionShape& shape, Order order, int threads);

}  // namespace longhaul::kernels
