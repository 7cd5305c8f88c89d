// train/executor.h — executes a program for real: each operation's handler reads and writes the buffers that the plan placed.
//
// The executor knows nothing of layouts or schedules: it takes operations in the order of the list, hands their buffers to the kernels,
// and times each one. What differs between models is in the handlers (ops_*.cpp), what differs between layouts is in the program.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "data/loader.h"
#include "kernels/context.h"
#include "kernels/optimizer/optimizer.h"
#include "kernels/product/gemm.h"
#include "machine/arena.h"
#include "model/param_table.h"
#include "program/build.h"
#include "program/program.h"
#include "train/noise_scale.h"

namespace longhaul::train {

/// Scalars of one update, in double (rounded once where the kernels use them).
struct UpdateScalars {
  double learning_rate = 0, beta1 = 0, beta2 = 0, epsilon = 0, weight_decay = 0;
  double clip_scale = 1;
  double average_beta = 0;   ///< EMA; ignored without an average
  std::int64_t applied = 1;  ///< t of Adam's bias corrections: updates applied, this one included
};

/// The loss of one global batch (accounting A10).
struct LossSum {
  double total = 0;  ///< nats over all unmasked targets
  std::int64_t targets = 0;
  double mean() const { return targets > 0 ? total / static_cast<double>(targets) : 0; }
};

/// What an update did to each tensor, in ParamTable order.
using UpdateNorms = std::vector<kernels::UpdateSquares>;

/// What every handler reads: the model, the memory, the machine.
struct Machine {
  const model::ModelSpec& spec;
  const model::ParamTable& table;
  const program::OperandLayout& operands;
  const kernels::Context& context;
  machine::Arena* arena = nullptr;
  const float* cosine = nullptr;  ///< rotation tables, [positions, head_dim/2]
  const float* sine = nullptr;
  /// Weights that lookups, norms and biases read: the master weights, or the average while it is evaluated.
  const float* weights = nullptr;
};

/// Seconds by operation, in the program's order.
using OperationSeconds = std::vector<double>;

class Executor;
/// Executes one operation.
using Handler = void (*)(Executor&, const program::Operation&);
/// The handler of a kind of operation; null for a kind that is planned and not trained.
using HandlerOf = Handler (*)(program::OpKind);

class Executor {
 public:
  /// @param handler_of  train/handlers.h; the executor itself knows no kind of operation
  Executor(const program::Program& program, const program::BatchPlan& batch, const Machine& machine, HandlerOf handler_of);

  /// Forward, backward and tree: gradients of Σ loss ÷ targets of the whole batch, in the buffer gradients().
  LossSum gradients(const data::Batch& batch);
  /// Global norm of the reduced gradient, before any clip (accounting A2).
  double gradient_norm();
  /// Clip, AdamW, EMA and operand copies. @param norms  if given, filled with what it did to each tensor; the update has the same bits
  void update(const UpdateScalars& scalars, UpdateNorms* norms = nullptr);
  /// Evaluation programs: losses of the batch's unmasked targets, [sequences · sequence_length], 0 where masked.
  const float* evaluate(const data::Batch& batch);
  /// Forward programs: rows of the final norm's output in operand type.
  const void* forward(const data::Batch& batch);

  /// Of the last gradients(): each virtual rank's share of the gradient. Norms are 0 where there is one share alone.
  const std::vector<LeafGradient>& leaves() const { return leaves_; }
  /// Of the last gradient_norm(): ‖gradient‖² of each tensor, in ParamTable order.
  const std::vector<double>& gradient_squares() const { return gradient_squares_; }

  /// The reduced gradient, valid between gradients() and the next step.
  const float* reduced_gradient() const;
  const OperationSeconds& seconds() const { return seconds_; }
  const program::Program& program() const { return program_; }

 private:
  friend struct OperationHandlers;
  friend class Frame;
  void run(program::Phase phase);
  void bind(const data::Batch& batch);
  void add_losses(const program::Operation& op, const float* token_loss);
  void find_leaves();
  void count_leaf_targets();

  template <typename T>
  T* get(const program::Operation& op, program::Slot slot) {
    return reinterpret_cast<T*>(address(op.at(slot)));
  }
  std::byte* address(program::BufferId buffer) const;

  const program::Program& program_;
  const program::BatchPlan plan_;
  const Machine& machine_;
  const HandlerOf handler_of_;
  OperationSeconds seconds_;

  // Of the batch being worked on.
  const data::Batch* batch_ = nullptr;
  std::int64_t targets_ = 0;
  std::vector<double> leaf_loss_;
  std::vector<LeafGradient> leaves_;
  std::vector<double> gradient_squares_;
  double norm_ = 0;
  UpdateScalars scalars_;
  UpdateNorms* update_norms_ = nullptr;  ///< of the update being worked on

  /// Of the program: which leaf each buffer of a leaf_combine holds, −1 for a sum of several.
  struct Combined {
    int left = -1, right = -1;
  };
  std::vector<Combined> combined_;  ///< by operation; empty without a leaf_combine
  std::vector<kernels::NormBlock> norm_blocks_;
};

/// The last step's seconds by operation (program::short_name), over layers and micro-batches.
std::map<std::string, double> seconds_by_name(const Executor& executor);

/// Writes the operand copies of `weights` (all tensors that GEMMs read). Nothing to do when operands are f32.
void refresh_operands(const Machine& machine, const float* weights, kernels::bf16* operand_weights);

}  // namespace longhaul::train
