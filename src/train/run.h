// train/run.h — one launch of a run: the training, the directory that keeps it and the console that follows it, opened in the order that
// loses nothing.
//
// Opening checks everything before anything is written: data verified, vocabulary matched, the directory locked, the newest verified
// checkpoint of the same configuration loaded, the ledger cut back to it. A run that was never saved starts from its seed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/resolve.h"
#include "ledger/record.h"
#include "train/console.h"
#include "train/launch.h"
#include "train/rank_account.h"
#include "train/run_directory.h"
#include "train/summary.h"
#include "train/training.h"
#include "train/whole_state.h"

namespace longhaul::train {

/// Where a launch begins, if not at the run's newest checkpoint or at its first step; at most one of them.
struct Origin {
  std::optional<BranchFrom> branch;       ///< a new run, from a checkpoint of another one
  std::optional<std::int64_t> from_step;  ///< back to an earlier checkpoint of this run
};

class Run {
 public:
  /// All ranks of a job open it together. Rank 0 has the directory and the console; what it decides (where to begin, whether to stop, to
  /// save) the others are told.
  /// @throws UsageError, DataError, CheckpointError; nothing is changed on disk but the run's own directory
  Run(const config::ResolvedConfig& resolved, comm::Communicator& communicator, Console console, const Origin& origin = {});

  const config::RunConfig& config() const { return training_->config(); }
  /// Whether this rank has the run's directory.
  bool first() const { return directory_ != nullptr; }
  const std::filesystem::path& directory() const { return directory_->path(); }
  Training& training() { return *training_; }
  Launch& launch() { return *launch_; }
  /// Number of this launch in the run's directory, from 1.
  std::int64_t launch_number() const { return directory_->launch(); }

  /// Ends the launch, saved, after this step of the run: as a signal would; to be said by every rank.
  void stop_after(std::int64_t step) { last_step_ = step; }
  /// Writes the timeline of this step to trace-STEP.json in the run's directory; to be said by every rank.
  void trace_step(std::int64_t step) { traced_step_ = step; }

  /// Records how long it took until the first step of this launch begins, which is now.
  void record_start();

  /// Why the loop should end before the next step.
  StopReason stop_reason();
  /// Held-out loss, with its progress shown. max_tokens 0: all of the text, with bits/byte.
  Evaluation validate(std::int64_t max_tokens);
  /// Appends the record and what guards said of the step to the ledger, and shows its line.
  void record(ledger::Record& record, const Verdict& verdict);
  bool save_due();
  /// Saves the state; a save that fails is reported and training goes on.
  void save();
  TrainSummary finish(StopReason reason);

 private:
  void open_state(const Origin& origin, const Console& console);
  std::optional<TrainState> begin_branch(const BranchFrom& from, WholeState& whole, const Console& console);
  std::optional<TrainState> restore(const Origin& origin, WholeState& whole, const Console& console);
  void record_launch();
  void record_changes();
  void record_verdict(const ledger::Result& result, const Verdict& verdict);
  void record_ranks(std::int64_t step, const std::vector<nlohmann::json>& ranks);
  std::optional<TrainSummary> summary_of_finished_run(const std::string& state_hash) const;

  comm::Communicator& communicator_;
  std::unique_ptr<Training> training_;
  std::unique_ptr<RunDirectory> directory_;  ///< of rank 0
  std::unique_ptr<Launch> launch_;
  std::optional<std::int64_t> resumed_from_step_;
  std::vector<ledger::Change> changes_;  ///< that the ledger does not hold yet
  std::vector<std::string> damaged_;     ///< sentences about checkpoints that were passed over
  RankAccount ranks_;
  std::int64_t first_step_ = 0;   ///< of this launch
  std::int64_t traced_step_ = 0;  ///< 0: none
  std::int64_t last_step_ = 0;    ///< of this launch; 0: the run's
  double last_loss_ = 0;
};

}  // namespace longhaul::train
