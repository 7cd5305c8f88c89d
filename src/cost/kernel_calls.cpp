#include "cost/kernel_calls.h"

#include <set>

namespace longhaul::cost {
namespace {

using cluster::Kernel;
using cluster::KernelCall;
using program::OpKind;
using program::Slot;

/// Calls of one operation, under construction.
class Calls {
 public:
  Calls(const model::ModelSpec& spec, const program::BatchPlan& batch, const program::Program& program, const program::Operation& op)
      : spec_(spec), batch_(batch), program_(program), op_(op), n_(batch.tokens_per_micro_batch()) {}

  std::vector<RepeatedCall> made() &&;

 private:
  std::int64_t elements(Slot slot) const { return program_.buffers[static_cast<std::size_t>(op_.at(slot))].elements; }
  /// Elements a token of a buffer of rows.
  std::int64_t width(Slot slot) const { return elements(slot) / n_; }
  /// GPT-2's matrices lie [in, out] in memory, Llama's [out, in].
  bool stored_in_by_out() const { return model::family_of(spec_) == model::Family::gpt2; }
  bool bf16() const { return op_.has(Slot::operand); }

  void add(Kernel kernel, std::array<std::int64_t, cluster::kAxes> shape, double times = 1) { calls_.push_back({{kernel, shape}, times}); }
  void rows(Kernel kernel, std::int64_t width) { add(kernel, {n_, width, 1, 1, 1}); }
  void forward(std::int64_t in, std::int64_t out) { add(stored_in_by_out() ? Kernel::gemm_nn : Kernel::gemm_nt, {n_, out, in, 1, 1}); }
  bool weight_gradient() const { return op_.pass == program::Pass::weight_gradient; }
  /// The products of a backward pass, or of a split one those of this half.
  void backward(std::int64_t in, std::int64_t out) {
    if (!weight_gradient()) add(stored_in_by_out() ? Kernel::gemm_nt : Kernel::gemm_nn, {n_, in, out, 1, 1});
    if (op_.pass != program::Pass::input_gradient)
      add(Kernel::gemm_tn,
          stored_in_by_out() ? std::array<std::int64_t, 5>{in, out, n_, 1, 1} : std::array<std::int64_t, 5>{out, in, n_, 1, 1});
  }
  /// Widths of a linear layer's input and output, whichever half of its backward pass this is.
  std::int64_t in(Slot d_x) const { return width(weight_gradient() ? Slot::x : d_x); }
  std::int64_t out(Slot d_y) const { return width(weight_gradient() ? Slot::operand : d_y); }
  /// A linear layer's backward pass up to its products: bias gradient, rounding.
  void linear_gradient(std::int64_t in, std::int64_t out, bool bias) {
    if (bias && !weight_gradient()) rows(Kernel::bias_backward, out);
    if (bf16() && !weight_gradient()) rows(Kernel::round_to_operand, out);
    backward(in, out);
  }
  void norm(Kernel rms, Kernel layer) { rows(spec_.norm == model::NormKind::rms_norm ? rms : layer, spec_.width); }
  void heads(std::int64_t qkv_width, bool backward);
  void attention(Kernel kernel) {
    const std::int64_t dim = spec_.head_dim;
    add(kernel, {batch_.sequences_per_micro_batch, batch_.sequence_length, width(Slot::q) / dim, width(Slot::k) / dim, dim});
  }
  void loss();
  void mlp_up_backward();
  void rest_of_step();

  const model::ModelSpec& spec_;
  const program::BatchPlan& batch_;
  const program::Program& program_;
  const program::Operation& op_;
  const std::int64_t n_;
  std::vector<RepeatedCall> calls_;
};

void Calls::heads(std::int64_t qkv_width, bool backward) {
  const std::int64_t dim = spec_.head_dim, all = qkv_width / dim, kv = all * spec_.kv_heads / (spec_.heads + 2 * spec_.kv_heads);
  const bool rotary = spec_.position == model::PositionKind::rope;
  const Kernel kernel = rotary ? (backward ? Kernel::rotary_heads_backward : Kernel::rotary_heads_forward)
                               : (backward ? Kernel::heads_backward : Kernel::heads_forward);
  add(kernel, {n_, all - 2 * kv, kv, dim, 1});
  if (spec_.qk_norm) add(backward ? Kernel::rms_norm_backward : Kernel::rms_norm_forward, {n_ * (all - kv), dim, 1, 1, 1});
}

/// The head goes block by block of tokens; a block's size is that of the workspace, its rows whole cache lines (kernels/loss/loss.h).
void Calls::loss() {
  const std::int64_t row = (spec_.vocab + 15) / 16 * 16;
  const std::int64_t tokens = std::min(elements(Slot::workspace) / 4 / row, n_);
  add(Kernel::loss, {tokens, width(Slot::x), spec_.vocab, 1, 1}, static_cast<double>(n_) / static_cast<double>(tokens));
}

void Calls::mlp_up_backward() {
  const std::int64_t width_in = in(Slot::d_x), width_out = out(Slot::up);
  if (!model::gated(spec_.mlp)) {
    if (!weight_gradient()) rows(Kernel::gelu_backward, width_out);
    return linear_gradient(width_in, width_out, spec_.mlp_bias);
  }
  if (!weight_gradient()) rows(Kernel::swiglu_backward, width_out);
  backward(width_in, width_out);
  backward(width_in, width_out);
}

/// Operations on whole-model buffers.
void Calls::rest_of_step() {
  const auto whole = [&](Kernel kernel, std::int64_t count) { add(kernel, {count, 1, 1, 1, 1}); };
  switch (op_.kind) {
    case OpKind::leaf_begin:
      return whole(Kernel::zero, elements(Slot::gradients));
    case OpKind::leaf_combine:
      return whole(Kernel::add, elements(Slot::gradients));
    case OpKind::tied_combine:
      return whole(Kernel::add, spec_.vocab * spec_.width);
    case OpKind::gradient_norm:
      return whole(Kernel::sum_of_squares, elements(Slot::gradients) - (spec_.tied_embeddings ? spec_.vocab * spec_.width : 0));
    case OpKind::update:
      return whole(op_.has(Slot::average) ? Kernel::adamw_average : Kernel::adamw, elements(Slot::weights));
    default:
      return;
  }
}

std::vector<RepeatedCall> Calls::made() && {
  switch (op_.kind) {
    case OpKind::embed_forward:
      rows(Kernel::embed_forward, width(Slot::y));
      break;
    case OpKind::embed_backward:
      rows(Kernel::embed_backward, width(Slot::d_y));
      break;
    case OpKind::norm_forward:
      norm(Kernel::rms_norm_forward, Kernel::layer_norm_forward);
      break;
    case OpKind::norm_backward:
      norm(Kernel::rms_norm_backward, Kernel::layer_norm_backward);
      break;
    case OpKind::qkv_forward:
      forward(width(Slot::x), width(Slot::qkv));
      heads(width(Slot::qkv), false);
      break;
    case OpKind::qkv_backward:
      if (!weight_gradient()) heads(width(Slot::scratch), true);
      linear_gradient(in(Slot::d_x), out(Slot::scratch), spec_.qkv_bias);
      break;
    case OpKind::attention_forward:
      attention(Kernel::attention_forward);
      break;
    case OpKind::attention_backward:
      attention(Kernel::attention_backward);
      break;
    case OpKind::attention_out_forward:
    case OpKind::mlp_down_forward:
      forward(width(Slot::x), width(Slot::y));
      rows(Kernel::residual, width(Slot::y));
      break;
    case OpKind::attention_out_backward:
      linear_gradient(in(Slot::d_x), out(Slot::d_y), spec_.output_bias);
      break;
    case OpKind::mlp_down_backward:
      linear_gradient(in(Slot::d_x), out(Slot::d_y), spec_.mlp_bias);
      break;
    case OpKind::mlp_up_forward:
      forward(width(Slot::x), width(Slot::up));
      if (model::gated(spec_.mlp)) forward(width(Slot::x), width(Slot::up));
      rows(model::gated(spec_.mlp) ? Kernel::swiglu_forward : Kernel::gelu_forward, width(Slot::up));
      break;
    case OpKind::mlp_up_backward:
      mlp_up_backward();
      break;
    case OpKind::head_loss:
      loss();
      break;
    default:
      rest_of_step();
  }
  return std::move(calls_);
}

}  // namespace

std::vector<RepeatedCall> kernel_calls(const model::ModelSpec& spec, const program::BatchPlan& batch, const program::Program& program,
                                       const program::Operation& op) {
  return Calls(spec, batch, program, op).made();
}

std::vector<KernelCall> distinct_calls(const model::ModelSpec& spec, const program::BatchPlan& batch, const program::Program& program) {
  std::set<KernelCall> calls;
  for (const program::Operation& op : program.operations)
    for (const RepeatedCall& call : kernel_calls(spec, batch, program, op)) calls.insert(call.call);
  return {calls.begin(), calls.end()};
}

}  // namespace longhaul::cost
