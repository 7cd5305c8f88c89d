// The feed-forward part: up (and gate), activation, down, and their gradients.
#include "kernels/rows/rows.h"
#include "train/handlers.h"

namespace longhaul::train {

using model::Role;

void OperationHandlers::mlp_up_forward(Executor& executor, const Op& op) {
  const Frame f(executor, op);
  const std::int64_t width = f.shape().width, ffn = f.shape().ffn;
  f.linear(f.raw(Slot::x), Role::up_weight, width, ffn, f.f32(Slot::up), ffn);
  if (!model::gated(f.spec().mlp)) {
    kernels::gelu_forward(f.context(), f.f32(Slot::up), f.weight(Role::up_bias), f.raw(Slot::y), f.tokens(), ffn);
    return;
  }
  f.linear(f.raw(Slot::x), Role::gate_weight, width, ffn, f.f32(Slot::gate), ffn);
  kernels::swiglu_forward(f.context(), f.f32(Slot::gate), f.f32(Slot::up), f.raw(Slot::y), f.tokens() * ffn);
}

void OperationHandlers::mlp_up_backward(Executor& executor, const Op& op) {
  const Frame f(executor, op);
  const std::int64_t width = f.shape().width, ffn = f.shape().ffn, count = f.tokens() * ffn;
  const bool gated = model::gated(f.spec().mlp);
  const auto weight_gradients = [&](const void* d_up) {
    if (gated) f.linear_weight_gradient(f.raw(Slot::x), f.raw(Slot::operand_gate), ffn, Role::gate_weight, width, ffn);
    f.linear_weight_gradient(f.raw(Slot::x), d_up, ffn, Role::up_weight, width, ffn);
  };
  if (op.pass == Pass::weight_gradient) return weight_gradients(f.raw(Slot::operand));
  if (!gated) {
    float* d_up = f.f32(Slot::d_y);
    kernels::gelu_backward(f.context(), d_up, f.f32(Slot::up), d_up, count);
    if (float* d_bias = f.gradient(Role::up_bias)) kernels::bias_backward(f.context(), d_up, ffn, d_bias, f.tokens(), ffn);
    const void* operand = f.as_operand(d_up, Slot::operand, count);
    if (op.pass == Pass::backward) weight_gradients(operand);
    f.linear_input_gradient(operand, ffn, Role::up_weight, width, ffn, f.f32(Slot::d_x), false);
    return;
  }
  void *gate_operand = f.raw(Slot::operand_gate), *up_operand = f.raw(Slot::operand);
  kernels::swiglu_backward(f.context(), f.f32(Slot::d_y), f.f32(Slot::gate), f.f32(Slot::up), gate_operand, up_operand, count);
  if (op.pass == Pass::backward) weight_gradients(up_operand);
  // One chain through gate, then up: ParamTable order (numerics contract).
  f.linear_input_gradient(gate_operand, ffn, Role::gate_weight, width, ffn, f.f32(Slot::d_x), false);
  f.linear_input_gradient(up_operand, ffn, Role::up_weight, width, ffn, f.f32(Slot::d_x), true);
}

void OperationHandlers::mlp_down_forward(Executor& executor, const Op& op) {
  const Frame f(executor, op);
  const std::int64_t width = f.shape().width;
  f.linear(f.raw(Slot::x), Role::down_weight, f.shape().ffn, width, f.f32(Slot::y), width);
  kernels::add_bias_residual(f.context(), f.f32(Slot::y), f.weight(Role::down_bias), f.f32(Slot::residual), f.f32(Slot::y), f.tokens(),
                             width);
}

void OperationHandlers::mlp_down_backward(Executor& executor, const Op& op) {
  const Frame f(executor, op);
  const std::int64_t width = f.shape().width, ffn = f.shape().ffn;
  if (op.pass == Pass::weight_gradient)
    return f.linear_weight_gradient(f.raw(Slot::x), f.raw(Slot::operand), width, Role::down_weight, ffn, width);
  const float* d_y = f.f32(Slot::d_y);
  if (float* d_bias = f.gradient(Role::down_bias)) kernels::bias_backward(f.context(), d_y, width, d_bias, f.tokens(), width);
  const void* operand = f.as_operand(d_y, Slot::operand, f.tokens() * width);
  if (op.pass == Pass::backward) f.linear_weight_gradient(f.raw(Slot::x), operand, width, Role::down_weight, ffn, width);
  f.linear_input_gradient(operand, width, Role::down_weight, ffn, width, f.f32(Slot::d_x), false);
}

}  // namespace longhaul::train
