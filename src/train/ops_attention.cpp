// Attention: projections, heads, the attention itself, and their gradients.
#include "kernels/attention/attention.h"
#include "kernels/rows/rows.h"
#include "train/handlers.h"

namespace longhaul::train {

using model::Role;

namespace {

kernels::HeadShape head_shape(const Frame& f) { return {f.tokens(), f.shape().heads, f.shape().kv_heads, f.shape().head_dim}; }

/// Biases of q, k and v lie one after the other in the table, as one vector.
Role qkv_bias_role(const Frame& f) { return f.find(Role::qkv_bias) ? Role::qkv_bias : Role::q_bias; }
/// So do the weights of Llama's q, k, v: the role of the first stands for the matrix of all three.
Role qkv_weight_role(const Frame& f) { return f.find(Role::qkv_weight) ? Role::qkv_weight : Role::q_weight; }

kernels::HeadOptions head_options(const Frame& f) {
  kernels::HeadOptions options;
  options.bias = f.weight(qkv_bias_role(f));
  options.q_norm = f.weight(Role::q_norm);
  options.k_norm = f.weight(Role::k_norm);
  options.epsilon = static_cast<float>(f.spec().norm_epsilon);
  options.cosine = f.machine().cosine;
  options.sine = f.machine().sine;
  return options;
}

kernels::AttentionShape attention_shape(const Frame& f) {
  return {f.plan().sequences_per_micro_batch, f.plan().sequence_length, f.shape().heads, f.shape().kv_heads, f.shape().head_dim};
}

}  // namespace

void OperationHandlers::qkv_forward(Executor& executor, const Op& op) {
  const Frame f(executor, op);
  const kernels::HeadShape shape = head_shape(f);
  f.linear(f.raw(Slot::x), qkv_weight_role(f), f.shape().width, shape.row(), f.f32(Slot::qkv), shape.row());
  kernels::heads_forward(f.context(), shape, head_options(f), f.f32(Slot::qkv), f.batch().positions.data() + f.first_token(),
                         f.raw(Slot::q), f.raw(Slot::k), f.raw(Slot::v), f.f32_or_null(Slot::head_statistics));
}

void OperationHandlers::qkv_backward(Executor& executor, const Op& op) {
  const Frame f(executor, op);
  const kernels::HeadShape shape = head_shape(f);
  const Role weight = qkv_weight_role(f), bias = qkv_bias_role(f);
  if (op.pass == Pass::weight_gradient)
    return f.linear_weight_gradient(f.raw(Slot::x), f.raw(Slot::operand), shape.row(), weight, f.shape().width, shape.row());
  float* d_qkv = f.f32(Slot::scratch);
  kernels::heads_backward(f.context(), shape, head_options(f), f.f32_or_null(Slot::qkv), f.f32_or_null(Slot::head_statistics),
                          f.batch().positions.data() + f.first_token(), f.f32(Slot::d_q), f.f32(Slot::d_k), f.f32(Slot::d_v), d_qkv,
                          f.gradient(Role::q_norm), f.gradient(Role::k_norm));
  if (float* d_bias = f.gradient(bias)) kernels::bias_backward(f.context(), d_qkv, shape.row(), d_bias, f.tokens(), shape.row());
  const void* operand = f.as_operand(d_qkv, Slot::operand, f.tokens() * shape.row());
  if (op.pass == Pass::backward) f.linear_weight_gradient(f.raw(Slot::x), operand, shape.row(), weight, f.shape().width, shape.row());
  f.linear_input_gradient(operand, shape.row(), weight, f.shape().width, shape.row(), f.f32(Slot::d_x), false);
}

void OperationHandlers::attention_forward(Executor& executor, const Op& op) {
  const Frame f(executor, op);
  kernels::attention_forward(f.context(), attention_shape(f), f.raw(Slot::q), f.raw(Slot::k), f.raw(Slot::v),
                             f.batch().document_start.data() + f.first_token(), f.raw(Slot::y), f.f32(Slot::row_max), f.f32(Slot::row_sum),
                             f.raw(Slot::workspace));
}

void OperationHandlers::attention_backward(Executor& executor, const Op& op) {
  const Frame f(executor, op);
  kernels::attention_backward(f.context(), attention_shape(f), f.raw(Slot::q), f.raw(Slot::k), f.raw(Slot::v), f.raw(Slot::x),
                              f.f32(Slot::d_y), f.f32(Slot::row_max), f.f32(Slot::row_sum),
                              f.batch().document_start.data() + f.first_token(), f.f32(Slot::d_q), f.f32(Slot::d_k), f.f32(Slot::d_v),
                              f.raw(Slot::workspace));
}

void OperationHandlers::attention_out_forward(Executor& executor, const Op& op) {
  const Frame f(executor, op);
  const std::int64_t in = f.shape().heads_out, width = f.shape().width;
  f.linear(f.raw(Slot::x), Role::output_weight, in, width, f.f32(Slot::y), width);
  kernels::add_bias_residual(f.context(), f.f32(Slot::y), f.weight(Role::output_bias), f.f32(Slot::residual), f.f32(Slot::y), f.tokens(),
                             width);
}

void OperationHandlers::attention_out_backward(Executor& executor, const Op& op) {
  const Frame f(executor, op);
  const std::int64_t in = f.shape().heads_out, width = f.shape().width;
  if (op.pass == Pass::weight_gradient)
    return f.linear_weight_gradient(f.raw(Slot::x), f.raw(Slot::operand), width, Role::output_weight, in, width);
  const float* d_y = f.f32(Slot::d_y);
  if (float* d_bias = f.gradient(Role::output_bias)) kernels::bias_backward(f.context(), d_y, width, d_bias, f.tokens(), width);
  const void* operand = f.as_operand(d_y, Slot::operand, f.tokens() * width);
  if (op.pass == Pass::backward) f.linear_weight_gradient(f.raw(Slot::x), operand, width, Role::output_weight, in, width);
  f.linear_input_gradient(operand, width, Role::output_weight, in, width, f.f32(Slot::d_x), false);
}

}  // namespace longhaul::train
