// kernels/rows/rows_family.h — the per-family bodies of kernels/rows/rows.h, each over a range of tokens, of elements or of columns.
//
// "tokens" counts the rows from the pointers given; "begin, end" are columns, the chains of all tokens run down them. `type` is the operand
// type.
#pragma once

#include "kernels/family.h"
#include "kernels/rows/rows.h"

namespace longhaul::kernels {

struct EmbedTable {
  void (*forward)(const std::int32_t* tokens, const std::int32_t* positions, const float* token_table, const float* position_table,
                  float* out, std::int64_t n, std::int64_t width);
  void (*backward)(const std::int32_t* rows, const float* d_out, float* d_table, std::int64_t n, std::int64_t width, std::int64_t begin,
                   std::int64_t end);
};
LONGHAUL_FAMILY_TABLE(EmbedTable, embed_table)

struct NormTable {
  void (*forward)(const NormShape& shape, const float* x, const float* weight, const float* bias, void* out, ElementType type,
                  float* statistics, std::int64_t tokens);
  void (*backward_x)(const NormShape& shape, const float* d_out, const float* x, const float* weight, const float* statistics,
                     const float* d_residual, float* d_x, std::int64_t tokens);
  void (*backward_weights)(const NormShape& shape, const float* d_out, const float* x, const float* statistics, float* d_weight,
                           float* d_bias, std::int64_t begin, std::int64_t end);
};
LONGHAUL_FAMILY_TABLE(NormTable, norm_table)

struct ActivationTable {
  void (*add_bias_residual)(const float* y, const float* bias, const float* residual, float* out, std::int64_t n, std::int64_t width);
  void (*bias_backward)(const float* d_y, std::int64_t stride, float* d_bias, std::int64_t n, std::int64_t begin, std::int64_t end);
  void (*round)(const float* x, void* out, ElementType type, std::int64_t count);
  void (*gelu_forward)(float* y, const float* bias, void* out, ElementType type, std::int64_t n, std::int64_t width);
  void (*gelu_backward)(const float* d_out, const float* y, float* d_y, std::int64_t count);
  void (*swiglu_forward)(const float* gate, const float* up, void* out, ElementType type, std::int64_t count);
  void (*swiglu_backward)(const float* d_out, const float* gate, const float* up, void* d_gate, void* d_up, ElementType type,
                          std::int64_t count);
};
LONGHAUL_FAMILY_TABLE(ActivationTable, activation_table)

struct HeadsTable {
  void (*forward)(const HeadShape& shape, const HeadOptions& options, float* qkv, const std::int32_t* positions, void* q, void* k, void* v,
                  ElementType type, float* statistics, std::int64_t tokens);
  /// Gradients before rotation, into d_qkv.
  void (*backward_rotation)(const HeadShape& shape, const HeadOptions& options, const std::int32_t* positions, const float* dq,
                            const float* dk, const float* dv, float* d_qkv, std::int64_t tokens);
  /// Gradients of q_norm and k_norm (columns begin … end of head_dim) from d_qkv before backward_norm.
  void (*backward_norm_weights)(const HeadShape& shape, const float* qkv, const float* statistics, const float* d_qkv, float* d_weight,
                                std::int64_t first_head, std::int64_t heads, std::int64_t begin, std::int64_t end);
  /// d_qkv through the qk-norms, in place.
  void (*backward_norm)(const HeadShape& shape, const HeadOptions& options, const float* qkv, const float* statistics, float* d_qkv,
                        std::int64_t tokens);
};
LONGHAUL_FAMILY_TABLE(HeadsTable, heads_table)

}  // namespace longhaul::kernels
