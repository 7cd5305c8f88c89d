// train/executor.h — executes a program for real: each operation's handler reads and writes the buffers that the plan placed.
//
// The executor knows nothing of layouts or schedules: it takes operations in the order of the list, hands their buffers to the kernels,
// and times each one. What differs between models is in the handlers (ops_*.cpp), what differs between layouts is in the program.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "data/loader.h"
#include "kernels/context.h"
#include "kernels/optimizer/optimizer.h"
#include "kernels/product/gemm.h"
#include "machine/arena.h"
#include "model/param_table.h"
#include "program/figures.h"
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

/// A NaN may have any sign, and is printed with it: one NaN for all.
inline double without_sign_of_nan(double value) { return std::isnan(value) ? std::numeric_limits<double>::quiet_NaN() : value; }

/// The loss of one global batch (accounting A10).
struct LossSum {
  double total = 0;  ///< nats over all unmasked targets
  std::int64_t targets = 0;
  double mean() const { return targets > 0 ? without_sign_of_nan(total / static_cast<double>(targets)) : 0; }
};

/// What an update did to a block of a tensor.
struct BlockNorms {
  std::int64_t tensor = 0, block = 0;
  kernels::UpdateSquares squares;
};
/// Of the blocks that a rank updates.
using UpdateNorms = std::vector<BlockNorms>;

/// What every handler reads beside its operation: what kind of model it is, the memory, the machine, the other ranks.
struct Machine {
  const model::ModelSpec& spec;
  const model::ParamTable& table;
  const kernels::Context& context;
  comm::Communicator& communicator;
  machine::Arena* arena = nullptr;
  const float* cosine = nullptr;  ///< rotation tables, [positions, head_dim/2]
  const float* sine = nullptr;
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
  /// @throws Error for a program with an operation that has no handler
  Executor(const program::Program& program, const Machine& machine, HandlerOf handler_of);

  /// Forward, backward and tree: gradients of Σ loss ÷ targets of the whole batch. @param batch  all of it: a rank takes its part
  void gradients(const data::Batch& batch);
  /// Global norm of the reduced gradient, before any clip (accounting A2).
  double gradient_norm();
  /// Of the last gradients(); a rank of several has all of it after gradient_norm().
  LossSum loss() const;
  /// Clip, AdamW, EMA and operand copies. @param norms  if given, filled with what it did to each tensor; the update has the same bits
  void update(const UpdateScalars& scalars, UpdateNorms* norms = nullptr);
  /// Evaluation programs: losses of the unmasked targets of this rank's sequences, [sequences · sequence_length], 0 where masked; null on a
  /// pipeline rank without the head.
  const float* evaluate(const data::Batch& batch);
  /// Forward programs: rows of the final norm's output in operand type; null as above.
  const void* forward(const data::Batch& batch);
  /// The head as products read it after the last operation: [vocab, width], its own tensor or the token embedding.
  kernels::MatrixView head() const;
  /// Evaluation and forward programs: what they read becomes the average, where one is kept, and the weights again.
  void read_average() { run(program::Phase::prepare); }
  void read_weights() { run(program::Phase::restore); }

  /// Of the last step, as loss(): each virtual rank's share of the gradient. Norms are 0 where there is one share alone.
  std::vector<LeafGradient> leaves() const;
  /// ‖gradient‖² as leaves() has theirs: a tied embedding by its two accumulators. Where there are several shares.
  double accumulator_squares() const;
  /// Of the last gradient_norm(): ‖gradient‖² of each tensor, in ParamTable order.
  const std::vector<double>& gradient_squares() const { return gradient_squares_; }

  /// The reduced gradient of a rank alone, laid out as the ParamTable; valid between gradients() and the next step.
  const float* reduced_gradient() const;
  /// The number of the step, for the messages of ranks that wait for this one.
  void at_step(std::int64_t step) { step_ = step; }
  const OperationSeconds& seconds() const { return seconds_; }
  /// When each operation began, in seconds of the steady clock.
  const OperationSeconds& begins() const { return begins_; }
  /// Bytes by channel of the last step, from gradients() to update().
  std::map<std::string, comm::Traffic> step_traffic() const;
  const program::Program& program() const { return program_; }

 private:
  friend struct OperationHandlers;
  friend class Frame;
  void run(program::Phase phase);
  void bind(const data::Batch& batch);
  /// A double that all ranks need (program/figures.h), and its place in their list.
  void set_figure(std::int64_t place, double value);
  double sum_of_figures(std::int64_t first, std::int64_t count) const;

  template <typename T>
  T* get(const program::Operation& op, program::Slot slot) {
    return reinterpret_cast<T*>(address(op.at(slot)));
  }
  std::byte* address(program::BufferId buffer) const;
  /// Where element `element` of a tensor lies in a buffer; null where it holds it not.
  template <typename T>
  T* find(program::BufferId buffer, int tensor, bool head, std::int64_t element = 0) const {
    const program::Placed* placed = program_.arrangement_of(buffer).find(tensor, head, element);
    if (!placed) return nullptr;
    return reinterpret_cast<T*>(address(buffer)) + placed->offset + element - placed->begin;
  }

  const program::Program& program_;
  const Machine& machine_;
  const HandlerOf handler_of_;
  OperationSeconds seconds_, begins_;
  std::int64_t step_ = 0;
  std::map<std::string, comm::Traffic> traffic_before_, traffic_after_;

  // Of the batch being worked on.
  const data::Batch* batch_ = nullptr;
  std::int64_t targets_ = 0;
  std::vector<std::int64_t> leaf_targets_;
  const program::Figures places_;
  std::vector<double> figures_;
  std::vector<std::int64_t> own_figures_;  ///< places that this rank has filled
  std::vector<double> gradient_squares_;
  UpdateScalars scalars_;
  UpdateNorms* update_norms_ = nullptr;     ///< of the update being worked on
  std::vector<std::int32_t> row_of_token_;  ///< in the rows that owners of the embedding sent, by token of the micro-batch
};

/// The last step's seconds by operation (program::short_name), over layers and micro-batches.
std::map<std::string, double> seconds_by_name(const Executor& executor);

}  // namespace longhaul::train
