// kernels/rows/rows.h — operations on rows of the residual stream: embedding, norms, bias, rotation, activations, and their gradients.
//
// n = tokens of the micro-batch, in order; rows are contiguous. fp32 unless a parameter says "operand type" (the context order's type,
// rounded once to nearest even). Weight gradients are chains over tokens, continued from the present value. Sums inside a row run in
// 16 virtual lanes and the fixed tree (numerics contract).
#pragma once

#include <cstdint>

#include "kernels/context.h"

namespace longhaul::kernels {

/// out[t] = token_table[tokens[t]] (+ position_table[positions[t]] when not null). out: [n, width].
void embed_forward(const Context& context, const std::int32_t* tokens, const std::int32_t* positions, const float* token_table,
                   const float* position_table, float* out, std::int64_t n, std::int64_t width);
/// Adds d_out rows to the tables in token order. d_position_table may be null.
void embed_backward(const Context& context, const std::int32_t* tokens, const std::int32_t* positions, const float* d_out,
                    float* d_token_table, float* d_position_table, std::int64_t n, std::int64_t width);

enum class NormKind : std::uint8_t { layer_norm, rms_norm };
struct NormShape {
  NormKind kind;
  std::int64_t tokens, width;
  float epsilon;
};
/// out = norm(x)·weight (+ bias) in operand type. statistics: [tokens, 2] fp32 (mean, 1/σ; rms_norm leaves the mean 0).
void norm_forward(const Context& context, const NormShape& shape, const float* x, const float* weight, const float* bias, void* out,
                  float* statistics);
/// d_x[t,i] = d_residual[t,i] + gradient through the norm; d_x may alias d_residual; d_residual may be null (nothing added). d_weight,
/// d_bias continue their chains (d_bias null without bias).
void norm_backward(const Context& context, const NormShape& shape, const float* d_out, const float* x, const float* weight,
                   const float* statistics, const float* d_residual, float* d_x, float* d_weight, float* d_bias);

/// out = (residual) + (y + bias); bias may be null; out may alias residual or y. [n, width].
void add_bias_residual(const Context& context, const float* y, const float* bias, const float* residual, float* out, std::int64_t n,
                       std::int64_t width);
/// d_bias[j] continues its chain with d_y[t, j], t rising. d_y rows have stride `stride`.
void bias_backward(const Context& context, const float* d_y, std::int64_t stride, float* d_bias, std::int64_t n, std::int64_t width);
/// fp32 → operand type (a copy for f32).
void round_to_operand(const Context& context, const float* x, void* out, std::int64_t count);

/// GPT-2's tanh GELU: out = gelu(y + bias) in operand type; y is overwritten by y + bias, which the backward pass reads. [n, width].
void gelu_forward(const Context& context, float* y, const float* bias, void* out, std::int64_t n, std::int64_t width);
/// d_y = d_out · gelu'(y), fp32. d_y may alias d_out.
void gelu_backward(const Context& context, const float* d_out, const float* y, float* d_y, std::int64_t count);
/// SwiGLU: out = silu(gate)·up in operand type. gate, up: [n, width] fp32.
void swiglu_forward(const Context& context, const float* gate, const float* up, void* out, std::int64_t count);
/// d_gate, d_up in operand type: they feed GEMMs and nothing else. Neither may alias an input.
void swiglu_backward(const Context& context, const float* d_out, const float* gate, const float* up, void* d_gate, void* d_up,
                     std::int64_t count);

/// Split of the fused projection output into heads: row of qkv = [q: heads·D | k: kv_heads·D | v: kv_heads·D].
struct HeadShape {
  std::int64_t tokens, heads, kv_heads, head_dim;
  std::int64_t row() const { return (heads + 2 * kv_heads) * head_dim; }
};
/// Optional parts are null when absent. q_norm, k_norm: [D] (RMS over the head, before rotation). cosine, sine: [max_positions, D/2]
/// (rope_table()).
struct HeadOptions {
  const float* bias = nullptr;  ///< [row()], added to qkv in place first
  const float* q_norm = nullptr;
  const float* k_norm = nullptr;
  float epsilon = 0;
  const float* cosine = nullptr;
  const float* sine = nullptr;
};
/// q, k, v: [n, heads·D], [n, kv_heads·D] ×2 in operand type. qkv (bias added in place) and statistics [tokens, heads + kv_heads]
/// are read by the backward pass only with qk-norm.
void heads_forward(const Context& context, const HeadShape& shape, const HeadOptions& options, float* qkv, const std::int32_t* positions,
                   void* q, void* k, void* v, float* statistics);
/// dq, dk, dv fp32 (gradients after rotation) → d_qkv [n, row()] fp32. d_q_norm, d_k_norm continue their chains (token, then head, rising).
void heads_backward(const Context& context, const HeadShape& shape, const HeadOptions& options, const float* qkv, const float* statistics,
                    const std::int32_t* positions, const float* dq, const float* dk, const float* dv, float* d_qkv, float* d_q_norm,
                    float* d_k_norm);
/// Rotation tables as Hugging Face builds them: inverse frequencies rounded to fp32, product in fp32, then cos and sin. [positions, D/2]
/// each.
void rope_table(double theta, std::int64_t positions, std::int64_t head_dim, float* cosine, float* sine);

}  // namespace longhaul::kernels
