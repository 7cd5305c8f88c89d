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
  return tensor ? machine().weights + tensor->offset : nullptr;
}

float* Frame::gradient(Role role) const {
  const model::ParamTensor* tensor = find(role);
  return tensor ? f32(Slot::gradients) + tensor->offset : nullptr;
}

MatrixView Frame::matrix(Role role, std::int64_t in, std::int64_t out) const {
  const model::ParamTensor& tensor = machine().table.at(role, op_.layer);
  const std::int64_t index = &tensor - machine().table.tensors().data();
  const std::int64_t copy = machine().operands.offsets[static_cast<std::size_t>(index)];
  const void* data =
      copy >= 0 ? element(raw(Slot::operand_weights), operand_type(), copy) : element(machine().weights, ElementType::f32, tensor.offset);
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
