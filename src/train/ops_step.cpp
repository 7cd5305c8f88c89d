// Gradient leaves and their tree, the global norm, the update.
#include <cmath>

#include "kernels/elementary/elementary64.h"
#include "kernels/optimizer/optimizer.h"
#include "kernels/rows/rows.h"
#include "train/handlers.h"

namespace longhaul::train {

namespace {

kernels::AdamWScalars rounded(const UpdateScalars& s, bool decays) {
  const double t = static_cast<double>(s.applied);
  kernels::AdamWScalars out{};
  out.beta1 = static_cast<float>(s.beta1);
  out.one_minus_beta1 = static_cast<float>(1 - s.beta1);
  out.beta2 = static_cast<float>(s.beta2);
  out.one_minus_beta2 = static_cast<float>(1 - s.beta2);
  out.bias1 = static_cast<float>(1 / (1 - kernels::pow64(s.beta1, t)));
  out.bias2 = static_cast<float>(1 / (1 - kernels::pow64(s.beta2, t)));
  out.learning_rate = static_cast<float>(s.learning_rate);
  out.decay = decays ? static_cast<float>(s.learning_rate * s.weight_decay) : 0.0F;
  out.epsilon = static_cast<float>(s.epsilon);
  out.clip_scale = static_cast<float>(s.clip_scale);
  return out;
}

}  // namespace

void OperationHandlers::leaf_begin(Executor& executor, const Op& op) {
  const Frame f(executor, op);
  kernels::zero(f.context(), f.f32(Slot::gradients), program::gradient_elements(f.machine().table));
}

void OperationHandlers::leaf_combine(Executor& executor, const Op& op) {
  const Frame f(executor, op);
  float* left = f.f32(Slot::gradients);
  const float* right = f.f32(Slot::other_gradients);
  const Executor::Combined& leaves = executor.combined_[static_cast<std::size_t>(&op - executor.program_.operations.data())];
  if (leaves.left < 0 && leaves.right < 0)
    return kernels::add_into(f.context(), left, right, program::gradient_elements(f.machine().table));
  const kernels::LeafSquares squares = kernels::add_leaves(f.context(), left, right, executor.norm_blocks_);
  if (leaves.left >= 0) executor.leaves_[static_cast<std::size_t>(leaves.left)].norm_squared = squares.a;
  if (leaves.right >= 0) executor.leaves_[static_cast<std::size_t>(leaves.right)].norm_squared = squares.b;
}

void OperationHandlers::tied_combine(Executor& executor, const Op& op) {
  const Frame f(executor, op);
  const model::ParamTable& table = f.machine().table;
  const model::ParamTensor& embedding = table.at(model::Role::token_embedding);
  float* gradients = f.f32(Slot::gradients);
  kernels::add_into(f.context(), gradients + embedding.offset, gradients + program::head_gradient_offset(table), embedding.count);
}

void OperationHandlers::gradient_norm(Executor& executor, const Op& op) {
  const Frame f(executor, op);
  double sum = 0;
  executor.gradient_squares_.clear();
  for (const model::ParamTensor& tensor : f.machine().table.tensors()) {
    executor.gradient_squares_.push_back(kernels::sum_of_squares(f.context(), f.f32(Slot::gradients) + tensor.offset, tensor.count));
    sum += executor.gradient_squares_.back();
  }
  executor.norm_ = std::sqrt(sum);
}

void OperationHandlers::update(Executor& executor, const Op& op) {
  const Frame f(executor, op);
  const UpdateScalars& s = executor.scalars_;
  const std::vector<model::ParamTensor>& tensors = f.machine().table.tensors();
  float* average = f.f32_or_null(Slot::average);
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const std::int64_t at = tensors[i].offset;
    const std::int64_t copy = f.machine().operands.offsets[i];
    kernels::bf16* operand = copy >= 0 ? static_cast<kernels::bf16*>(f.raw(Slot::operand_weights)) + copy : nullptr;
    const auto with = [&](auto update) {
      return update(f.context(), rounded(s, tensors[i].decays), f.f32(Slot::weights) + at, f.f32(Slot::moment1) + at,
                    f.f32(Slot::moment2) + at, f.f32(Slot::gradients) + at, operand, average ? average + at : nullptr,
                    static_cast<float>(s.average_beta), static_cast<float>(1 - s.average_beta), tensors[i].count);
    };
    if (executor.update_norms_)
      executor.update_norms_->push_back(with(kernels::adamw_measured));
    else
      with(kernels::adamw);
  }
}

void refresh_operands(const Machine& machine, const float* weights, kernels::bf16* operand_weights) {
  const std::vector<model::ParamTensor>& tensors = machine.table.tensors();
  for (std::size_t i = 0; i < tensors.size(); ++i)
    if (const std::int64_t copy = machine.operands.offsets[i]; copy >= 0)
      kernels::round_to_operand(machine.context, weights + tensors[i].offset, operand_weights + copy, tensors[i].count);
}

}  // namespace longhaul::train
