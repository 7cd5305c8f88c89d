// Embedding, norms, head and loss.
#include "kernels/loss/loss.h"
#include "kernels/rows/rows.h"
#include "train/handlers.h"

namespace longhaul::train {

using model::Role;

namespace {

struct NormRoles {
  Role weight, bias;
};

NormRoles norm_roles(const program::Operation& op) {
  switch (op.norm) {
    case program::NormPlace::before_attention:
      return {Role::attn_norm_weight, Role::attn_norm_bias};
    case program::NormPlace::before_mlp:
      return {Role::mlp_norm_weight, Role::mlp_norm_bias};
    case program::NormPlace::after_layers:
      return {Role::final_norm_weight, Role::final_norm_bias};
    case program::NormPlace::after_embedding:
      return {Role::embedding_norm_weight, Role::embedding_norm_bias};
  }
  return {};
}

kernels::NormShape norm_shape(const Frame& f) {
  const auto kind = f.spec().norm == model::NormKind::layer_norm ? kernels::NormKind::layer_norm : kernels::NormKind::rms_norm;
  return {kind, f.shape().s, f.shape().width, static_cast<float>(f.spec().norm_epsilon)};
}

bool tied(const Frame& f) { return f.machine().table.find(Role::head_weight) == nullptr; }

kernels::LossShape loss_shape(const Frame& f) {
  const std::int64_t length = f.plan().sequence_length;
  return {f.tokens(), f.shape().width, f.shape().vocab, length, kernels::loss_block_tokens(f.shape().vocab, length)};
}

/// The head as rows of the vocabulary: its own tensor, or the token embedding.
kernels::MatrixView head_matrix(const Frame& f) {
  return f.matrix(tied(f) ? Role::token_embedding : Role::head_weight, f.shape().width, f.shape().vocab).transposed();
}

}  // namespace

void OperationHandlers::embed_forward(Executor& executor, const Op& op) {
  const Frame f(executor, op);
  const std::int32_t* positions = f.batch().positions.data() + f.first_token();
  const std::int64_t width = f.shape().width;
  if (executor.program_.buffers[op.at(Slot::weights)].persistent)
    return kernels::embed_forward(f.context(), f.batch().tokens.data() + f.first_token(), positions, f.weight(Role::token_embedding),
                                  f.weight(Role::position_embedding), f.f32(Slot::y), f.tokens(), width);
  // Rows that their owners sent: each token of the micro-batch once, then those of all positions.
  const float* rows = f.f32(Slot::weights);
  const bool learned = f.spec().position == model::PositionKind::learned;
  kernels::embed_forward(f.context(), executor.row_of_token_.data(), positions, rows, learned ? rows + f.tokens() * width : nullptr,
                         f.f32(Slot::y), f.tokens(), width);
}

void OperationHandlers::embed_backward(Executor& executor, const Op& op) {
  const Frame f(executor, op);
  kernels::embed_backward(f.context(), f.batch().tokens.data() + f.first_token(), f.batch().positions.data() + f.first_token(),
                          f.f32(Slot::d_y), f.gradient(Role::token_embedding), f.gradient(Role::position_embedding), f.tokens(),
                          f.shape().width);
}

void OperationHandlers::norm_forward(Executor& executor, const Op& op) {
  const Frame f(executor, op);
  const NormRoles roles = norm_roles(op);
  kernels::norm_forward(f.context(), norm_shape(f), f.f32(Slot::x), f.weight(roles.weight), f.weight(roles.bias), f.raw(Slot::y),
                        f.f32(Slot::statistics));
}

void OperationHandlers::norm_backward(Executor& executor, const Op& op) {
  const Frame f(executor, op);
  const NormRoles roles = norm_roles(op);
  const bool first_gradient = op.layer < 0;  // nothing has flowed into the residual stream's gradient before the final norm's
  kernels::norm_backward(f.context(), norm_shape(f), f.f32(Slot::d_y), f.f32(Slot::x), f.weight(roles.weight), f.f32(Slot::statistics),
                         first_gradient ? nullptr : f.f32(Slot::d_residual), f.f32(Slot::d_residual), f.gradient(roles.weight),
                         f.gradient(roles.bias));
}

void OperationHandlers::head_loss(Executor& executor, const Op& op) {
  const Frame f(executor, op);
  float* d_head = tied(f) ? f.gradient(Role::token_embedding, true) : f.gradient(Role::head_weight);
  const std::int64_t targets = f.batch().target_tokens;
  const double scale = targets > 0 ? 1.0 / static_cast<double>(targets) : 0.0;
  const float* token_loss = f.f32(Slot::token_loss);
  kernels::loss_forward_backward(f.context(), loss_shape(f), f.raw(Slot::x), head_matrix(f), f.batch().targets.data() + f.first_token(),
                                 f.batch().loss_mask.data() + f.first_token(), static_cast<float>(scale), f.f32(Slot::token_loss),
                                 f.f32(Slot::d_x), d_head, f.raw(Slot::workspace));
  // Each target's loss is fp32; a leaf sums its own in fp64 in token order, the tree adds the leaves (numerics contract).
  const program::Program& program = executor.program_;
  const program::Leaves hosted = f.plan().hosted_by(program.place.dp, program.layout.dp);
  const int per_leaf = f.plan().micro_batches_per_leaf();
  const std::int64_t place = executor.places_.loss(hosted.first + op.micro_batch / per_leaf);
  double& leaf = executor.figures_[static_cast<std::size_t>(place)];
  for (std::int64_t i = 0; i < f.tokens(); ++i) leaf += static_cast<double>(token_loss[i]);
  if (op.micro_batch % per_leaf == 0) executor.own_figures_.push_back(place);
}

void OperationHandlers::head_loss_evaluate(Executor& executor, const Op& op) {
  const Frame f(executor, op);
  kernels::loss_forward(f.context(), loss_shape(f), f.raw(Slot::x), head_matrix(f), f.batch().targets.data() + f.first_token(),
                        f.batch().loss_mask.data() + f.first_token(), f.f32(Slot::token_loss), f.raw(Slot::workspace));
}

}  // namespace longhaul::train
