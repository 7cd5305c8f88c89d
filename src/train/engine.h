// train/engine.h — one rank's model in memory: its parameters, its programs, the arena they share and the threads that execute them.
//
// Built from the resolved configuration alone, so that `plan` (which only asks for the programs), `train`, `eval`, `generate`, `debug`
// and `bench` all describe and run the same object.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/registry.h"
#include "comm/communicator.h"
#include "config/run_config.h"
#include "data/packing.h"
#include "kernels/context.h"
#include "kernels/product/gemm.h"
#include "machine/arena.h"
#include "machine/process.h"
#include "model/param_table.h"
#include "program/build.h"
#include "train/executor.h"

namespace longhaul::train {

/// Threads of each rank: run.threads, or, when it is 0, the usable processors shared out, at least one.
int thread_count(const config::RunConfig& config);
/// run.family, or the fastest this processor has. @throws UsageError when the processor lacks the one asked for
kernels::Family family_of_run(const config::RunConfig& config);
kernels::Order order_of_run(const config::RunConfig& config);

/// How documents become sequences, in training and in evaluation.
data::PackingOptions packing_options(const config::RunConfig& config);

/// What one optimizer step is made of on this rank: input of program::build_step().
program::BuildOptions step_options(const config::RunConfig& config, int threads);
/// Likewise for validation.batch sequences of each data-parallel rank at a time (program::build_evaluation()).
program::BuildOptions evaluation_options(const config::RunConfig& config, int threads);

/// What the trainer cannot do of [parallel].
struct Unsupported {
  std::string option, sentence;  ///< "parallel.tp", "parallel.tp = 2 needs …; allowed: 1"
};
std::optional<Unsupported> unsupported(const config::RunConfig& config);

/// The same run on one rank.
config::RunConfig of_one_rank(config::RunConfig config);

class Engine {
 public:
  enum class Use : std::uint8_t {
    training,    ///< optimizer step and evaluation
    evaluation,  ///< evaluation alone: no moments, no gradients
  };
  /// @param communicator  of as many ranks as the layout has; null: the layout has one. It outlives the engine
  /// @throws UsageError  a model that can only be counted, a layout that the trainer cannot execute
  explicit Engine(const config::RunConfig& config, Use use = Use::training, comm::Communicator* communicator = nullptr,
                  std::int64_t block = program::kBlockElements);
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  const config::RunConfig& config() const { return config_; }
  const model::ParamTable& table() const { return table_; }
  const kernels::Context& context() const { return context_; }
  const machine::Arena& arena() const { return *arena_; }
  /// What the process held just before the arena was allocated.
  const machine::Resident& resident_before_arena() const { return resident_before_arena_; }

  const Machine& machine() const { return machine_; }
  const program::Program& step_program() const { return step_program_; }
  /// The optimizer step's executor (training only) and the evaluation's.
  Executor& step() { return *step_; }
  Executor& evaluation() { return *evaluation_; }

  /// Initial weights by the ParamTable's scheme, moments zero, average = weights.
  void initialise();
  /// To be called after weights were written from outside (a checkpoint): makes the operand copies again.
  void weights_changed();
  /// While it lives, evaluation reads the average instead of the weights (when there is one).
  class AverageScope {
   public:
    explicit AverageScope(Engine& engine);
    /// Ranks talk to each other here, and may hear that one has failed. Where an error is on its way already, nothing is read any more.
    ~AverageScope() noexcept(false);
    AverageScope(const AverageScope&) = delete;
    AverageScope& operator=(const AverageScope&) = delete;

   private:
    Engine& engine_;
    int errors_;  ///< on their way when the scope began
  };

  /// Elements of the contract's blocks.
  std::int64_t block() const { return evaluation_program_.block; }
  comm::Communicator& communicator() const { return *communicator_; }
  /// One rank, which holds every tensor whole.
  bool alone() const { return evaluation_program_.layout.alone(); }
  /// Of a rank alone, laid out as the ParamTable.
  float* weights() const { return address("weights"); }
  float* moment1() const { return address("moment1"); }
  float* moment2() const { return address("moment2"); }
  /// Null without an average.
  float* average() const { return address("average"); }
  /// A part of a tensor that this rank holds.
  struct Held {
    std::string_view group;  ///< of checkpoint/registry.h
    int tensor = 0;
    std::int64_t begin = 0, end = 0;
    float* data = nullptr;
    bool first = true;  ///< no rank before this one holds it too
  };
  /// Of all groups, in their order.
  std::vector<Held> held() const;
  /// Every tensor of a group ("weights", "moment1", "moment2", "ema") under its Hugging Face name, in ParamTable order.
  std::vector<checkpoint::TensorEntry> registry() const;
  /// The weights that evaluation should read: the average when there is one.
  std::vector<checkpoint::TensorEntry> registry_of(std::string_view group, float* data) const;

 private:
  float* address(std::string_view buffer) const;

  const config::RunConfig config_;
  model::ParamTable table_;
  std::unique_ptr<comm::Communicator> own_communicator_;
  comm::Communicator* communicator_;
  kernels::ThreadPool pool_;
  kernels::Context context_;
  program::Program step_program_, evaluation_program_;
  machine::Resident resident_before_arena_;
  std::unique_ptr<machine::Arena> arena_;
  std::vector<float> cosine_, sine_;
  Machine machine_;
  std::unique_ptr<Executor> step_, evaluation_;
};

}  // namespace longhaul::train
