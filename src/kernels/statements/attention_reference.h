// kernels/statements/attention_reference.h — attention twice over, for the tests: the scalar statement of the contract (docs/numerics.md,
// "Attention"), whose bits every kernel must give, and plain softmax attention in double, which says that the statement is the right
// mathematics.
//
// Shapes and parameters as in attention.h. One thread, no blocking, no cleverness: read this to learn what the kernels compute.
#pragma once

#include <vector>

#include "kernels/attention/attention.h"

namespace longhaul::kernels {

void attention_forward_reference(Order order, const AttentionShape& shape, const void* q, const void* k, const void* v,
                                 const std::int32_t* document_start, void* o, float* row_max, float* row_sum);
void attention_backward_reference(Order order, const AttentionShape& shape, const void* q, const void* k, const void* v, const void* o,
                                  const float* d_o, const float* row_max, const float* row_sum, const std::int32_t* document_start,
                                  float* dq, float* dk, float* dv);

/// o = softmax(q·kᵀ/√D + mask)·v in double (Vaswani et al. 2017, eq. 1).
std::vector<double> attention_forward_double(const AttentionShape& shape, const std::vector<double>& q, const std::vector<double>& k,
                                             const std::vector<double>& v, const std::vector<std::int32_t>& document_start);
struct AttentionGradientsDouble {
  std::vector<double> dq, dk, dv;
};
/// Gradients of Σ d_o·o in double; attention_test checks them by finite differences of the forward pass.
AttentionGradientsDouble attention_backward_double(const AttentionShape& shape, const std::vector<double>& q, const std::vector<double>& k,
                                                   const std::vector<double>& v, const std::vector<double>& d_o,
                                                   const std::vector<std::int32_t>& document_start);

}  // namespace longhaul::kernels
