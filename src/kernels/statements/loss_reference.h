// kernels/statements/loss_reference.h — head and cross-entropy twice over, for the tests: the scalar statement of the contract
// (docs/numerics.md, "Loss") and the textbook in double. Shapes and parameters as in loss.h; logits of all tokens exist here.
#pragma once

#include <vector>

#include "kernels/loss/loss.h"

namespace longhaul::kernels {

/// d_head continues from its present value.
void loss_reference(Order order, const LossShape& shape, const void* x, MatrixView head, const std::int32_t* targets,
                    const std::uint8_t* loss_mask, float scale, float* token_loss, float* d_x, float* d_head);

struct LossDouble {
  std::vector<double> token_loss, d_x, d_head;
};
/// token_loss = −log softmax(x·headᵀ)[target]; gradients of scale·Σ token_loss over unmasked tokens. head: [vocab, width].
LossDouble loss_double(const LossShape& shape, const std::vector<double>& x, const std::vector<double>& head,
                       const std::vector<std::int32_t>& targets, const std::vector<std::uint8_t>& loss_mask, double scale);

}  // namespace longhaul::kernels
