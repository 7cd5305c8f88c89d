#include "program/build.h"

#include <fmt/format.h>

#include <cassert>
#include <initializer_list>

namespace longhaul::program {
namespace {

using model::ModelSpec;
using model::ParamTable;

/// What a layer's forward pass leaves for its backward pass.
struct LayerActivations {
  BufferId input = -1;  // residual stream at the layer's input
  BufferId attn_norm = -1, attn_norm_statistics = -1;
  BufferId qkv = -1, head_statistics = -1;  // kept with qk-norm only
  BufferId q = -1, k = -1, v = -1, o = -1, row_max = -1, row_sum = -1;
  BufferId middle = -1;  // residual stream after attention
  BufferId mlp_norm = -1, mlp_norm_statistics = -1;
  BufferId gate = -1, up = -1, activation = -1;
  BufferId output = -1;
};

class Builder {
 public:
  Builder(const ModelSpec& spec, const ParamTable& table, const BuildOptions& options)
      : spec_(spec), options_(options), n_(options.batch.tokens_per_micro_batch()), width_(spec.width), operand_(options.operand) {
    declare_persistent(table);
  }

  Program step();
  Program evaluation();
  Program forward();

 private:
  BufferId buffer(std::string name, MemoryLine line, ElementType type, std::int64_t elements, bool persistent = false) {
    program_.buffers.push_back({std::move(name), line, type, elements, persistent});
    return static_cast<BufferId>(program_.buffers.size()) - 1;
  }
  BufferId activation(const std::string& what, ElementType type, std::int64_t elements) {
    return buffer(prefix() + what, MemoryLine::activations, type, elements);
  }
  BufferId gradient_of(const std::string& what, ElementType type, std::int64_t elements) {
    return buffer(prefix() + "d_" + what, MemoryLine::activation_gradients, type, elements);
  }
  BufferId workspace(const std::string& what, Bytes bytes, MemoryLine line = MemoryLine::workspace) {
    return buffer(prefix() + what + ".workspace", line, ElementType::bytes, bytes.value);
  }
  std::string prefix() const {
    std::string out = micro_batch_ >= 0 ? fmt::format("mb{}.", micro_batch_) : "";
    if (layer_ >= 0) out += fmt::format("L{}.", layer_);
    if (pass_ == Pass::recompute) out += "rec.";
    return out;
  }
  Operation& emit(OpKind kind, std::initializer_list<BufferUse> uses, double flops = 0) {
    Operation op;
    op.kind = kind;
    op.phase = phase_;
    op.pass = pass_;
    op.micro_batch = micro_batch_;
    op.layer = layer_;
    op.uses = uses;
    op.flops = Flops(flops);
    program_.operations.push_back(std::move(op));
    return program_.operations.back();
  }
  static void add(Operation& op, Slot slot, BufferId id, Access access) { op.uses.push_back({slot, id, access}); }
  /// Weights as GEMM operands: the bf16 copies, or the weights themselves.
  BufferUse matmul_weights() const { return {Slot::operand_weights, operand_weights_ >= 0 ? operand_weights_ : weights_, Access::read}; }
  BufferUse master_weights() const { return {Slot::weights, weights_, Access::read}; }
  BufferUse accumulate() const { return {Slot::gradients, leaf_, Access::update}; }

  void declare_persistent(const ParamTable& table);
  BufferId norm(BufferId x, const std::string& name, bool second, BufferId& statistics);
  void norm_gradient(BufferId d_y, BufferId x, BufferId statistics, BufferId d_residual, bool second, bool first_gradient);
  LayerActivations layer_forward(BufferId input, bool stop_before_down);
  void layer_backward(const LayerActivations& kept, BufferId d_residual);
  void attention_gradient(const LayerActivations& kept, BufferId d_residual);
  void mlp_gradient(const LayerActivations& kept, BufferId d_residual);
  BufferId embed();
  BufferId forward_layers(BufferId x, std::vector<LayerActivations>* kept);
  void micro_batch();
  void combine(BufferId left, BufferId right);
  void reduce_and_update();

  double matmul_flops(std::int64_t in, std::int64_t out) const {
    return 2.0 * static_cast<double>(n_) * static_cast<double>(in) * static_cast<double>(out);
  }
  std::int64_t q_width() const { return spec_.heads * spec_.head_dim; }
  std::int64_t kv_width() const { return spec_.kv_heads * spec_.head_dim; }
  std::int64_t qkv_width() const { return q_width() + 2 * kv_width(); }
  double attention_flops() const {  // scores and weighted sum, not halved for causality (accounting D1)
    return 4.0 * static_cast<double>(n_) * static_cast<double>(options_.batch.sequence_length) * static_cast<double>(q_width());
  }
  bool keep_qkv() const { return spec_.qk_norm; }

  const ModelSpec& spec_;
  const BuildOptions& options_;
  const std::int64_t n_, width_;
  const ElementType operand_;
  Program program_;
  Phase phase_ = Phase::gradients;
  Pass pass_ = Pass::forward;
  int micro_batch_ = -1, layer_ = -1;
  std::int64_t gradient_elements_ = 0;
  BufferId weights_ = -1, operand_weights_ = -1, moment1_ = -1, moment2_ = -1, average_ = -1, leaf_ = -1;
};

void Builder::declare_persistent(const ParamTable& table) {
  const std::int64_t elements = table.padded_count();
  gradient_elements_ = gradient_elements(table);
  weights_ = buffer("weights", MemoryLine::weights, ElementType::f32, elements, true);
  if (options_.training) {
    moment1_ = buffer("moment1", MemoryLine::moments, ElementType::f32, elements, true);
    moment2_ = buffer("moment2", MemoryLine::moments, ElementType::f32, elements, true);
  }
  if (options_.training && options_.average) average_ = buffer("average", MemoryLine::average, ElementType::f32, elements, true);
  if (const OperandLayout layout = operand_layout(table, operand_); layout.elements > 0)
    operand_weights_ = buffer("operand_weights", MemoryLine::operand_copies, operand_, layout.elements, true);
}

BufferId Builder::embed() {
  const BufferId x = activation("embed.x", ElementType::f32, n_ * width_);
  emit(OpKind::embed_forward, {master_weights(), {Slot::y, x, Access::write}});
  return x;
}

BufferId Builder::norm(BufferId x, const std::string& name, bool second, BufferId& statistics) {
  const BufferId y = activation(name + ".y", operand_, n_ * width_);
  statistics = activation(name + ".statistics", ElementType::f32, 2 * n_);
  emit(OpKind::norm_forward,
       {master_weights(), {Slot::x, x, Access::read}, {Slot::y, y, Access::write}, {Slot::statistics, statistics, Access::write}})
      .second = second;
  return y;
}

LayerActivations Builder::layer_forward(BufferId input, bool stop_before_down) {
  LayerActivations a;
  a.input = input;
  a.attn_norm = norm(input, "attn_norm", false, a.attn_norm_statistics);

  a.qkv = activation("qkv", ElementType::f32, n_ * qkv_width());
  a.q = activation("q", operand_, n_ * q_width());
  a.k = activation("k", operand_, n_ * kv_width());
  a.v = activation("v", operand_, n_ * kv_width());
  Operation& qkv = emit(OpKind::qkv_forward,
                        {master_weights(),
                         matmul_weights(),
                         {Slot::x, a.attn_norm, Access::read},
                         {Slot::qkv, a.qkv, Access::write},
                         {Slot::q, a.q, Access::write},
                         {Slot::k, a.k, Access::write},
                         {Slot::v, a.v, Access::write}},
                        matmul_flops(width_, qkv_width()));
  if (keep_qkv()) {
    a.head_statistics = activation("head_statistics", ElementType::f32, n_ * (spec_.heads + spec_.kv_heads));
    add(qkv, Slot::head_statistics, a.head_statistics, Access::write);
  }

  a.o = activation("o", operand_, n_ * q_width());
  a.row_max = activation("row_max", ElementType::f32, n_ * spec_.heads);
  a.row_sum = activation("row_sum", ElementType::f32, n_ * spec_.heads);
  emit(OpKind::attention_forward,
       {{Slot::q, a.q, Access::read},
        {Slot::k, a.k, Access::read},
        {Slot::v, a.v, Access::read},
        {Slot::y, a.o, Access::write},
        {Slot::row_max, a.row_max, Access::write},
        {Slot::row_sum, a.row_sum, Access::write},
        {Slot::workspace, workspace("attn", options_.workspace.attention_forward), Access::write}},
       attention_flops());

  a.middle = activation("middle", ElementType::f32, n_ * width_);
  emit(OpKind::attention_out_forward,
       {master_weights(),
        matmul_weights(),
        {Slot::x, a.o, Access::read},
        {Slot::residual, input, Access::read},
        {Slot::y, a.middle, Access::write}},
       matmul_flops(q_width(), width_));

  a.mlp_norm = norm(a.middle, "mlp_norm", true, a.mlp_norm_statistics);
  a.up = activation("up", ElementType::f32, n_ * spec_.ffn_width);
  a.activation = activation("activation", operand_, n_ * spec_.ffn_width);
  Operation& up = emit(OpKind::mlp_up_forward,
                       {master_weights(),
                        matmul_weights(),
                        {Slot::x, a.mlp_norm, Access::read},
                        {Slot::up, a.up, Access::write},
                        {Slot::y, a.activation, Access::write}},
                       matmul_flops(width_, spec_.ffn_width) * (model::gated(spec_.mlp) ? 2 : 1));
  if (model::gated(spec_.mlp)) {
    a.gate = activation("gate", ElementType::f32, n_ * spec_.ffn_width);
    add(up, Slot::gate, a.gate, Access::write);
  }
  if (stop_before_down) return a;

  a.output = activation("output", ElementType::f32, n_ * width_);
  emit(OpKind::mlp_down_forward,
       {master_weights(),
        matmul_weights(),
        {Slot::x, a.activation, Access::read},
        {Slot::residual, a.middle, Access::read},
        {Slot::y, a.output, Access::write}},
       matmul_flops(spec_.ffn_width, width_));
  return a;
}

void Builder::norm_gradient(BufferId d_y, BufferId x, BufferId statistics, BufferId d_residual, bool second, bool first_gradient) {
  Operation& op = emit(OpKind::norm_backward, {master_weights(),
                                               {Slot::d_y, d_y, Access::read},
                                               {Slot::x, x, Access::read},
                                               {Slot::statistics, statistics, Access::read},
                                               {Slot::d_residual, d_residual, first_gradient ? Access::write : Access::update},
                                               accumulate()});
  op.second = second;
}

void Builder::mlp_gradient(const LayerActivations& a, BufferId d_residual) {
  const double flops = matmul_flops(width_, spec_.ffn_width);
  const BufferId d_up = gradient_of("up", ElementType::f32, n_ * spec_.ffn_width);
  Operation& down = emit(OpKind::mlp_down_backward,
                         {matmul_weights(),
                          {Slot::d_y, d_residual, Access::read},
                          {Slot::x, a.activation, Access::read},
                          {Slot::d_x, d_up, Access::write},
                          accumulate()},
                         2 * flops);
  if (operand_ != ElementType::f32) add(down, Slot::operand, gradient_of("output.operand", operand_, n_ * width_), Access::write);

  const BufferId d_norm = gradient_of("mlp_norm", ElementType::f32, n_ * width_);
  const bool gated = model::gated(spec_.mlp);
  Operation& up = emit(OpKind::mlp_up_backward,
                       {matmul_weights(),
                        {Slot::x, a.mlp_norm, Access::read},
                        {Slot::up, a.up, Access::read},
                        {Slot::d_y, d_up, gated ? Access::read : Access::update},
                        {Slot::d_x, d_norm, Access::write},
                        accumulate()},
                       (gated ? 4 : 2) * flops);
  if (gated || operand_ != ElementType::f32)
    add(up, Slot::operand, gradient_of("up.operand", operand_, n_ * spec_.ffn_width), Access::write);
  if (gated) {
    add(up, Slot::gate, a.gate, Access::read);
    add(up, Slot::operand_gate, gradient_of("gate.operand", operand_, n_ * spec_.ffn_width), Access::write);
  }
  norm_gradient(d_norm, a.middle, a.mlp_norm_statistics, d_residual, true, false);
}

void Builder::attention_gradient(const LayerActivations& a, BufferId d_residual) {
  const BufferId d_o = gradient_of("o", ElementType::f32, n_ * q_width());
  Operation& out = emit(OpKind::attention_out_backward,
                        {matmul_weights(),
                         {Slot::d_y, d_residual, Access::read},
                         {Slot::x, a.o, Access::read},
                         {Slot::d_x, d_o, Access::write},
                         accumulate()},
                        2 * matmul_flops(q_width(), width_));
  if (operand_ != ElementType::f32) add(out, Slot::operand, gradient_of("middle.operand", operand_, n_ * width_), Access::write);

  const BufferId d_q = gradient_of("q", ElementType::f32, n_ * q_width());
  const BufferId d_k = gradient_of("k", ElementType::f32, n_ * kv_width());
  const BufferId d_v = gradient_of("v", ElementType::f32, n_ * kv_width());
  emit(OpKind::attention_backward,
       {{Slot::q, a.q, Access::read},
        {Slot::k, a.k, Access::read},
        {Slot::v, a.v, Access::read},
        {Slot::x, a.o, Access::read},
        {Slot::d_y, d_o, Access::read},
        {Slot::row_max, a.row_max, Access::read},
        {Slot::row_sum, a.row_sum, Access::read},
        {Slot::d_q, d_q, Access::write},
        {Slot::d_k, d_k, Access::write},
        {Slot::d_v, d_v, Access::write},
        {Slot::workspace, workspace("attn.bwd", options_.workspace.attention_backward), Access::write}},
       2 * attention_flops());

  const BufferId d_norm = gradient_of("attn_norm", ElementType::f32, n_ * width_);
  Operation& qkv = emit(OpKind::qkv_backward,
                        {master_weights(),
                         matmul_weights(),
                         {Slot::x, a.attn_norm, Access::read},
                         {Slot::d_q, d_q, Access::read},
                         {Slot::d_k, d_k, Access::read},
                         {Slot::d_v, d_v, Access::read},
                         {Slot::scratch, gradient_of("qkv", ElementType::f32, n_ * qkv_width()), Access::write},
                         {Slot::d_x, d_norm, Access::write},
                         accumulate()},
                        2 * matmul_flops(width_, qkv_width()));
  if (operand_ != ElementType::f32) add(qkv, Slot::operand, gradient_of("qkv.operand", operand_, n_ * qkv_width()), Access::write);
  if (keep_qkv()) {
    add(qkv, Slot::qkv, a.qkv, Access::read);
    add(qkv, Slot::head_statistics, a.head_statistics, Access::read);
  }
  norm_gradient(d_norm, a.input, a.attn_norm_statistics, d_residual, false, false);
}

void Builder::layer_backward(const LayerActivations& kept, BufferId d_residual) {
  mlp_gradient(kept, d_residual);
  attention_gradient(kept, d_residual);
}

BufferId Builder::forward_layers(BufferId x, std::vector<LayerActivations>* kept) {
  for (layer_ = 0; layer_ < spec_.layers; ++layer_) {
    const LayerActivations a = layer_forward(x, false);
    if (kept) kept->push_back(a);
    x = a.output;
  }
  layer_ = -1;
  return x;
}

void Builder::micro_batch() {
  pass_ = Pass::forward;
  std::vector<LayerActivations> kept;
  const BufferId x = forward_layers(embed(), &kept);
  BufferId final_statistics = -1;
  const BufferId y = norm(x, "final_norm", false, final_statistics);

  const BufferId d_y = gradient_of("final_norm", ElementType::f32, n_ * width_);
  const BufferId token_loss = activation("token_loss", ElementType::f32, n_);
  pass_ = Pass::backward;
  emit(OpKind::head_loss,
       {matmul_weights(),
        {Slot::x, y, Access::read},
        {Slot::d_x, d_y, Access::write},
        {Slot::token_loss, token_loss, Access::write},
        accumulate(),
        {Slot::workspace, workspace("loss", options_.workspace.loss, MemoryLine::logits), Access::write}},
       3 * matmul_flops(width_, spec_.vocab));

  const BufferId d_residual = gradient_of("residual", ElementType::f32, n_ * width_);
  norm_gradient(d_y, x, final_statistics, d_residual, false, true);
  for (layer_ = static_cast<int>(spec_.layers) - 1; layer_ >= 0; --layer_) {
    LayerActivations a = kept[static_cast<std::size_t>(layer_)];
    if (options_.recompute == Recompute::layer) {
      pass_ = Pass::recompute;
      a = layer_forward(a.input, true);
      pass_ = Pass::backward;
    }
    layer_backward(a, d_residual);
  }
  emit(OpKind::embed_backward, {{Slot::d_y, d_residual, Access::read}, accumulate()});
}

void Builder::combine(BufferId left, BufferId right) {
  emit(OpKind::leaf_combine, {{Slot::gradients, left, Access::update}, {Slot::other_gradients, right, Access::read}});
}

void Builder::reduce_and_update() {
  pass_ = Pass::step;
  micro_batch_ = -1;
  if (spec_.tied_embeddings) emit(OpKind::tied_combine, {accumulate()});
  phase_ = Phase::norm;
  emit(OpKind::gradient_norm, {{Slot::gradients, leaf_, Access::read}});
  phase_ = Phase::update;
  Operation& op = emit(OpKind::update, {{Slot::gradients, leaf_, Access::read},
                                        {Slot::weights, weights_, Access::update},
                                        {Slot::moment1, moment1_, Access::update},
                                        {Slot::moment2, moment2_, Access::update}});
  if (operand_weights_ >= 0) add(op, Slot::operand_weights, operand_weights_, Access::update);
  if (average_ >= 0) add(op, Slot::average, average_, Access::update);
}

/// The tree over leaves splits at the largest power of two below n, left part first: complete subtrees are merged as they appear,
/// like the carries of a binary counter, and what remains is folded from the right. So popcount(v)+1 accumulators live at once.
Program Builder::step() {
  struct Subtree {
    BufferId gradients;
    int leaves;
  };
  std::vector<Subtree> stack;
  const BatchPlan& batch = options_.batch;
  assert(batch.virtual_ranks > 0 && batch.micro_batches % batch.virtual_ranks == 0);
  const int per_leaf = batch.micro_batches / batch.virtual_ranks;
  for (int leaf = 0; leaf < batch.virtual_ranks; ++leaf) {
    micro_batch_ = -1;
    pass_ = Pass::step;
    leaf_ = buffer(fmt::format("gradients.leaf{}", leaf), MemoryLine::gradients, ElementType::f32, gradient_elements_);
    emit(OpKind::leaf_begin, {{Slot::gradients, leaf_, Access::write}});
    for (int i = 0; i < per_leaf; ++i) {
      micro_batch_ = leaf * per_leaf + i;
      micro_batch();
    }
    micro_batch_ = -1;
    pass_ = Pass::step;
    stack.push_back({leaf_, 1});
    while (stack.size() > 1 && stack[stack.size() - 2].leaves == stack.back().leaves) {
      const Subtree right = stack.back();
      stack.pop_back();
      combine(stack.back().gradients, right.gradients);
      stack.back().leaves += right.leaves;
    }
  }
  while (stack.size() > 1) {
    const Subtree right = stack.back();
    stack.pop_back();
    combine(stack.back().gradients, right.gradients);
    stack.back().leaves += right.leaves;
  }
  leaf_ = stack.back().gradients;
  reduce_and_update();
  finish(program_);
  return std::move(program_);
}

Program Builder::evaluation() {
  micro_batch_ = 0;
  BufferId statistics = -1;
  const BufferId y = norm(forward_layers(embed(), nullptr), "final_norm", false, statistics);
  const BufferId token_loss = activation("token_loss", ElementType::f32, n_);
  emit(OpKind::head_loss_evaluate,
       {matmul_weights(),
        {Slot::x, y, Access::read},
        {Slot::token_loss, token_loss, Access::write},
        {Slot::workspace, workspace("loss", options_.workspace.loss_evaluate, MemoryLine::logits), Access::write}},
       matmul_flops(width_, spec_.vocab));
  finish(program_);
  return std::move(program_);
}

Program Builder::forward() {
  micro_batch_ = 0;
  BufferId statistics = -1;
  norm(forward_layers(embed(), nullptr), "final_norm", false, statistics);
  finish(program_);
  return std::move(program_);
}

}  // namespace

OperandLayout operand_layout(const ParamTable& table, ElementType operand) {
  OperandLayout layout;
  const bool tied = table.find(model::Role::head_weight) == nullptr;
  std::int64_t end_in_table = -1;  // where the last copied tensor ends: tensors that act as one stay without a gap
  for (const model::ParamTensor& tensor : table.tensors()) {
    const bool head = tied && tensor.role == model::Role::token_embedding;
    if (operand == ElementType::f32 || !(tensor.multiplies || head)) {
      layout.offsets.push_back(-1);
      continue;
    }
    if (tensor.offset != end_in_table) layout.elements = (layout.elements + 31) / 32 * 32;  // 64-byte starts
    layout.offsets.push_back(layout.elements);
    layout.elements += tensor.count;
    end_in_table = tensor.offset + tensor.count;
  }
  return layout;
}

std::int64_t gradient_elements(const ParamTable& table) {
  const bool tied = table.find(model::Role::head_weight) == nullptr;
  return table.padded_count() + (tied ? table.at(model::Role::token_embedding).count : 0);
}

std::int64_t head_gradient_offset(const ParamTable& table) {
  const model::ParamTensor* head = table.find(model::Role::head_weight);
  return head ? head->offset : table.padded_count();
}

Program build_step(const ModelSpec& spec, const ParamTable& table, const BuildOptions& options) {
  return Builder(spec, table, options).step();
}
Program build_evaluation(const ModelSpec& spec, const ParamTable& table, const BuildOptions& options) {
  return Builder(spec, table, options).evaluation();
}
Program build_forward(const ModelSpec& spec, const ParamTable& table, const BuildOptions& options) {
  return Builder(spec, table, options).forward();
}

}  // namespace longhaul::program
