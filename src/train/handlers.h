// train/handlers.h — what each kind of operation does: buffers of the program in, kernels called, buffers out.
//
// One static function a kind, grouped by part of the model in ops_embed.cpp, ops_attention.cpp, ops_mlp.cpp, ops_step.cpp,
// ops_transfer.cpp. To add an operation: a kind in program/program.h, its emission in program/build*.cpp, a function here and its line in
// handlers.cpp.
#pragma once

#include "kernels/product/gemm.h"
#include "model/param_table.h"
#include "train/executor.h"

namespace longhaul::train {

struct OperationHandlers {
  using Op = program::Operation;
  using Slot = program::Slot;
  using Pass = program::Pass;

  static void embed_forward(Executor&, const Op&);
  static void embed_backward(Executor&, const Op&);
  static void norm_forward(Executor&, const Op&);
  static void norm_backward(Executor&, const Op&);
  static void head_loss(Executor&, const Op&);
  static void head_loss_evaluate(Executor&, const Op&);
  static void qkv_forward(Executor&, const Op&);
  static void qkv_backward(Executor&, const Op&);
  static void attention_forward(Executor&, const Op&);
  static void attention_backward(Executor&, const Op&);
  static void attention_out_forward(Executor&, const Op&);
  static void attention_out_backward(Executor&, const Op&);
  static void mlp_up_forward(Executor&, const Op&);
  static void mlp_up_backward(Executor&, const Op&);
  static void mlp_down_forward(Executor&, const Op&);
  static void mlp_down_backward(Executor&, const Op&);
  static void leaf_begin(Executor&, const Op&);
  static void leaf_combine(Executor&, const Op&);
  static void tied_combine(Executor&, const Op&);
  static void gradient_norm(Executor&, const Op&);
  static void update(Executor&, const Op&);
  static void refresh_operands(Executor&, const Op&);
  static void send(Executor&, const Op&);
  static void receive(Executor&, const Op&);
  static void all_reduce(Executor&, const Op&);
  static void reduce_scatter(Executor&, const Op&);
  static void all_gather(Executor&, const Op&);
  static void all_to_all(Executor&, const Op&);

 private:
  /// Gradients of some leaves.
  struct Subtree {
    float* gradients = nullptr;
    program::Leaves leaves;
  };
  static void combine_subtrees(Executor&, const Subtree& left, const Subtree& right, program::BufferId, std::int64_t begin,
                               std::int64_t end);
  static Subtree add_up(Executor&, std::vector<Subtree>& parts, program::Leaves node, bool of_leaves, program::BufferId, std::int64_t begin,
                        std::int64_t end);
  static void sum_pieces(Executor&, const Op&, Slot sources);
  static void gather_rows(Executor&, const Op&);
  static void share_figures(Executor&, const Op&);
  static void tied_squares(Executor&, program::BufferId embedding, program::BufferId head);
};

/// The table from kinds to functions, as an Executor takes it.
Handler handler_of(program::OpKind kind);

/// A handler's view of its operation: typed buffers, parameters, batch slices and the GEMMs of a linear layer.
class Frame {
 public:
  using Slot = program::Slot;
  Frame(Executor& executor, const program::Operation& op) : executor_(executor), op_(op) {}

  const Machine& machine() const { return executor_.machine_; }
  const kernels::Context& context() const { return executor_.machine_.context; }
  const model::ModelSpec& spec() const { return executor_.machine_.spec; }
  ElementType operand_type() const { return kernels::operand_type(context().order); }
  const program::BatchPlan& plan() const { return executor_.program_.batch; }
  const program::RankShape& shape() const { return executor_.program_.shape; }
  std::int64_t tokens() const { return shape().n; }

  float* f32(Slot slot) const { return executor_.get<float>(op_, slot); }
  void* raw(Slot slot) const { return executor_.get<void>(op_, slot); }
  bool has(Slot slot) const { return op_.has(slot); }
  float* f32_or_null(Slot slot) const { return has(slot) ? f32(slot) : nullptr; }

  /// First token of this micro-batch in the batch's arrays.
  std::int64_t first_token() const {
    const program::Program& program = executor_.program_;
    return (plan().first_micro_batch(program.place.dp, program.layout.dp) + op_.micro_batch) * plan().tokens_per_micro_batch();
  }
  const data::Batch& batch() const { return *executor_.batch_; }

  const model::ParamTensor* find(model::Role role) const { return machine().table.find(role, op_.layer); }
  int index_of(const model::ParamTensor& tensor) const { return static_cast<int>(&tensor - machine().table.tensors().data()); }
  program::BufferId buffer(Slot slot) const { return op_.at(slot); }
  const program::Operation& op() const { return op_; }
  /// Weights as lookups, norms and biases read them (fp32); null when the model has no such tensor.
  const float* weight(model::Role role) const;
  /// Its accumulator in this leaf's gradient; null likewise. @param head  that of a tied head
  float* gradient(model::Role role, bool head = false) const;
  /// Weights as GEMMs read them: [in, out] whatever the layout on disk.
  kernels::MatrixView matrix(model::Role role, std::int64_t in, std::int64_t out) const;

  /// y [n, out] = x [n, in] · W. x in operand type, y fp32 with row stride `stride`.
  void linear(const void* x, model::Role role, std::int64_t in, std::int64_t out, float* y, std::int64_t stride) const;
  /// d_x [n, in] (= or +=) d_y [n, out] · Wᵀ. d_y in operand type with row stride `stride`.
  void linear_input_gradient(const void* d_y, std::int64_t stride, model::Role role, std::int64_t in, std::int64_t out, float* d_x,
                             bool accumulate) const;
  /// dW continues its chain over tokens: xᵀ·d_y in the weight's own layout.
  void linear_weight_gradient(const void* x, const void* d_y, std::int64_t stride, model::Role role, std::int64_t in,
                              std::int64_t out) const;
  /// d_y as GEMMs read it: rounded into the operand buffer, or d_y itself in fp32 runs.
  const void* as_operand(const float* d_y, Slot operand, std::int64_t count) const;

 private:
  Executor& executor_;
  const program::Operation& op_;
};

}  // namespace longhaul::train
