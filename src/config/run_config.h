// config/run_config.h — everything a run is told, as plain values: one struct per table of the run file.
//
// Filled by resolve() (config/resolve.h) from defaults, the model's file, the run file and --set, checked as a whole, and then never
// changed. Names, types, units, defaults and help of every field are in the option table (config/options.h), which is their only
// source. "Reaches a bit" fields form the config hash; the others may change when a run is resumed.
#pragma once

#include <cstdint>
#include <string>

#include "config/parallel.h"
#include "model/spec.h"
#include "units/element_type.h"

namespace longhaul::config {

/// How often: "10 steps", "1M tokens", "30 s", "5 min", "2 h", "never".
struct Cadence {
  enum class Kind : std::uint8_t { never, steps, tokens, seconds };
  Kind kind = Kind::never;
  std::int64_t amount = 0;  ///< steps, tokens or seconds; > 0 unless never
  bool operator==(const Cadence&) const = default;
};
/// Whether a counter in the cadence's unit that moved from `before` to `after` passed a multiple of its amount; false for never.
bool passes(const Cadence& cadence, std::int64_t before, std::int64_t after);

enum class LearningRateSchedule : std::uint8_t { constant, linear, cosine, inverse_sqrt, wsd };
enum class DecayShape : std::uint8_t { linear, cosine, one_minus_sqrt };
enum class Order : std::uint8_t { dp2, fma };

struct RunTable {
  std::string directory;  ///< absolute or relative to the working directory (the run file's own folder is already joined)
  std::int64_t seed = 0;
  std::int64_t steps = 0;    ///< total optimizer steps; computed from tokens where those were given
  std::int64_t tokens = 0;   ///< token budget as given; 0 when steps were given
  std::int64_t threads = 0;  ///< 0: one per usable processor
  std::string family;        ///< instruction set of the kernels: auto, avx2, avx512, avx512_bf16
  bool overfit_one_batch = false;
};
struct DataTable {
  std::string directory;  ///< a prepared dataset (dataset.json)
  bool isolate_documents = true;
  bool end_of_text_loss = true;
};
struct BatchTable {
  std::int64_t sequence_length = 0;  ///< tokens
  std::int64_t micro_batch = 0;      ///< sequences
  std::int64_t global_batch = 0;     ///< sequences of one optimizer step
  std::int64_t virtual_ranks = 0;    ///< V, resolved: divides micro_batches()
};
struct OptimizerTable {
  std::string name;  ///< adamw
  double learning_rate = 0;
  double beta1 = 0, beta2 = 0, epsilon = 0;
  double weight_decay = 0;
  double clip_norm = 0;  ///< 0: no clipping
  double ema_beta = 0;   ///< 0: no average
};
struct ScheduleTable {
  LearningRateSchedule kind = LearningRateSchedule::cosine;
  std::int64_t warmup_steps = 0;                ///< resolved (accounting A7 by default)
  double min_learning_rate = 0;                 ///< resolved
  double decay_fraction = 0;                    ///< wsd: share of all steps in the tail
  DecayShape decay_shape = DecayShape::linear;  ///< of wsd's tail
};
struct PrecisionTable {
  ElementType dtype = ElementType::bf16;
  Order order = Order::dp2;  ///< resolved: goes with dtype
};
struct ValidationTable {
  Cadence every;                ///< steps or tokens only: its losses are in the ledger's result records
  std::int64_t max_tokens = 0;  ///< 0: all of the held-out text
  std::int64_t batch = 0;       ///< sequences at a time; reaches no bit
  std::string prompt;           ///< a passage that follows it is generated with each validation; empty: none
  std::int64_t prompt_tokens = 0;
};
struct CheckpointTable {
  Cadence every;
  std::int64_t keep_last = 0;
  Cadence keep_every;  ///< steps or tokens; such checkpoints are never deleted
};
/// Accounting F4, F5. A threshold of 0 switches its guard off.
struct GuardsTable {
  std::int64_t window = 0;        ///< applied steps that means and medians look back on
  std::int64_t silent_steps = 0;  ///< applied steps before the first alarm
  double loss_alarm_ratio = 0;    ///< loss > ratio × mean of the window: alarm
  double loss_skip_ratio = 0;     ///< loss > ratio × mean of the window: the update is skipped
  double grad_norm_warn = 0;
  double grad_norm_alarm = 0;
  std::int64_t spike_window = 0;       ///< applied steps of the spike's median
  double spike_threshold = 0;          ///< nats above the median
  double spike_z = 0;                  ///< robust z (median, MAD) on loss and gradient norm
  std::int64_t max_skipped_steps = 0;  ///< skipped updates in a row before the run stops (exit 4)
  Cadence state_hash_every;            ///< steps or tokens only
};
struct LogTable {
  Cadence every;          ///< lines on the console
  Cadence tensors_every;  ///< norms by tensor in the ledger's result: steps or tokens only
};

struct RunConfig {
  RunTable run;
  model::ModelSpec model;
  DataTable data;
  BatchTable batch;
  OptimizerTable optimizer;
  ScheduleTable schedule;
  PrecisionTable precision;
  ParallelTable parallel;
  ValidationTable validation;
  CheckpointTable checkpoint;
  GuardsTable guards;
  LogTable log;

  /// Micro-batches of a step (M).
  std::int64_t micro_batches() const { return batch.global_batch / batch.micro_batch; }
  /// Positions processed by one optimizer step (accounting A5, G).
  std::int64_t tokens_per_step() const { return batch.global_batch * batch.sequence_length; }
};

}  // namespace longhaul::config
