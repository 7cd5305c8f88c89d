#include "kernels/rows/rows.h"
#include "train/handlers.h"

namespace longhaul::train {

using kernels::MatrixView;
using model::Role;

namespace {

/// GPT-2's Conv1D weights are stored [in, out]; Llama's linear weights [out, in].
bool stored_in_by_out(const model::ModelSpec& spec) { return model::family_of(spec) == model::Family::gpt2; }

const std::byte* element(const void* base, ElementType type, std::int64_t index) {
  return static_cast<const std::byte*>(base) + index * size_of(type);
}

}  // namespace

const float* Frame::weight(Role role) const {
  const model::ParamTensor* tensor = find(role);
  return tensor ? executor_.find<const float>(op_.at(Slot::weights), index_of(*tensor), false) : nullptr;
}

float* Frame::gradient(Role role, bool head) const {
  const model::ParamTensor* tensor = find(role);
  if (!tensor) return nullptr;
  for (const program::BufferUse& use : op_.uses)
    if (use.slot == Slot::gradients)
      if (float* accumulator = executor_.find<float>(use.buffer, index_of(*tensor), head)) return accumulator;
  return nullptr;
}

MatrixView Frame::matrix(Role role, std::int64_t in, std::int64_t out) const {
  const model::ParamTensor& tensor = machine().table.at(role, op_.layer);
  const program::BufferId buffer = op_.at(Slot::operand_weights);
  const program::Arrangement& arrangement = executor_.program_.arrangement_of(buffer);
  const program::Placed* placed = arrangement.find(index_of(tensor), false);
  if (!placed) placed = arrangement.find(index_of(tensor), true);
  const void* data = element(executor_.address(buffer), operand_type(), placed->offset);
  if (stored_in_by_out(spec()) && role != Role::token_embedding && role != Role::head_weight)
    return kernels::row_major(data, operand_type(), in, out);
  return kernels::row_major(data, operand_type(), out, in).transposed();
}

void Frame::linear(const void* x, Role role, std::int64_t in, std::int64_t out, float* y, std::int64_t stride) const {
  kernels::gemm(context(), kernels::row_major(x, operand_type(), tokens(), in), matrix(role, in, out), y, stride, false);
}

void Frame::linear_input_gradient(const void* d_y, std::int64_t stride, Role role, std::int64_t in, std::int64_t out, float* d_x,
                                  bool accumulate) const {
  const MatrixView dy{d_y, operand_type(), tokens(), out, stride, 1};
  kernels::gemm(context(), dy, matrix(role, in, out).transposed(), d_x, in, accumulate);
}

void Frame::linear_weight_gradient(const void* x, const void* d_y, std::int64_t stride, Role role, std::int64_t in,
                                   std::int64_t out) const {
  const MatrixView x_view = kernels::row_major(x, operand_type(), tokens(), in);
  const MatrixView dy{d_y, operand_type(), tokens(), out, stride, 1};
  const std::int64_t restart = plan().sequence_length;
  if (stored_in_by_out(spec()))
    kernels::gemm(context(), x_view.transposed(), dy, gradient(role), out, true, restart);
  else
    kernels::gemm(context(), dy.transposed(), x_view, gradient(role), in, true, restart);
}

const void* Frame::as_operand(const float* d_y, Slot operand, std::int64_t count) const {
  if (!has(operand)) return d_y;
  kernels::round_to_operand(context(), d_y, raw(operand), count);
  return raw(operand);
}

}  // namespace longhaul::train
