// train/run.h — one launch of a run: its directory, data, model, state, store and ledger, opened in the order that loses nothing.
//
// Opening checks everything before anything is written: data verified, vocabulary matched, the directory locked, the newest verified
// checkpoint of the same configuration loaded, the ledger cut back to it. A run that was never saved starts from its seed.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "checkpoint/store.h"
#include "config/resolve.h"
#include "data/dataset.h"
#include "data/loader.h"
#include "files/run_lock.h"
#include "ledger/ledger.h"
#include "train/console.h"
#include "train/engine.h"
#include "train/evaluate.h"
#include "train/state.h"
#include "train/step_record.h"

namespace longhaul::train {

enum class StopReason : std::uint8_t { none, finished, signal, guard };

/// How a launch ended.
struct TrainSummary {
  std::int64_t steps = 0, tokens = 0, skipped = 0;
  std::optional<std::int64_t> resumed_from_step;
  double final_loss = 0;
  std::optional<Evaluation> validation;
  std::string state_hash;
  StopReason stop = StopReason::none;
};

class Run {
  // Opened first, in this order: a wrong model or dataset is refused before memory is taken or the run's directory touched.
  const config::RunConfig config_;
  Console console_;
  data::Dataset dataset_;

 public:
  /// @throws UsageError, DataError, CheckpointError; nothing is changed on disk but the run's own directory
  Run(const config::ResolvedConfig& resolved, Console console);

  const config::RunConfig& config() const { return config_; }
  /// Why the loop should end before the next step.
  StopReason stop_reason() const;
  double learning_rate() const;
  /// The same by the count of applied and skipped steps: where it differs, a counter has gone astray (guards).
  double scheduled_learning_rate() const;
  data::Batch next_batch();
  /// Counters after a step.
  void advance(const data::Batch& batch, bool applied);
  /// Whether a cadence falls on the step just finished.
  bool due(const config::Cadence& cadence) const;

  /// Whether the held-out text is due; never where the dataset holds none out.
  bool validation_due() const { return has_heldout() && due(config_.validation.every); }

  /// Saves the state; a save that fails is reported and training goes on.
  void save();
  std::string state_hash();
  /// Held-out loss. max_tokens 0: all of the text, with bits/byte.
  Evaluation validate(std::int64_t max_tokens);
  /// Appends the record, shows the progress line when due.
  void record(ledger::Record& record, const Verdict& verdict);
  TrainSummary finish(StopReason reason);

  Engine engine;
  TrainState state;
  StepClock clock;
  double peak_flops = 0;  ///< measured matmul peak of this launch's order, family and threads; 0: not measured
  std::string directory() const { return config_.run.directory; }
  std::optional<std::int64_t> resumed_from_step() const { return resumed_from_step_; }

 private:
  void restore();
  void write_resolved(const config::ResolvedConfig& resolved);
  std::optional<TrainSummary> summary_of_finished_run();
  bool has_heldout() const { return dataset_.heldout().tokens() > 1; }
  void measure_launch();
  void show(const ledger::Record& record);
  std::string progress_line(const ledger::Record& record) const;

  files::RunLock lock_;
  checkpoint::RunIdentity identity_;
  checkpoint::Store store_;
  std::optional<ledger::Ledger> ledger_;
  std::optional<data::Loader> loader_;
  std::optional<data::Batch> only_batch_;  ///< run.overfit_one_batch
  std::optional<std::int64_t> resumed_from_step_;
  std::int64_t saved_step_ = -1;
  std::int64_t validated_step_ = -1;
  Evaluation validation_;  ///< of validated_step_
  std::int64_t previous_tokens_ = 0;
  StepClock::Clock::time_point start_ = StepClock::Clock::now(), last_save_ = start_, last_line_ = start_;
  StepClock::Clock::time_point first_step_ended_ = start_;  ///< of this launch
  double last_loss_ = 0;
  Bytes memory_growth_;
  std::map<std::string, std::vector<double>> operation_seconds_;  ///< by name, of each step measured
};

}  // namespace longhaul::train
