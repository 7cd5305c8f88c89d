// train/run_directory.h — the directory of a run while one launch holds it: lock, checkpoints, ledger and the resolved run.toml.
//
// Opening takes the lock; only its holder writes. restore() loads the newest verified checkpoint of the same configuration and cuts the
// ledger back to it, so that both tell of the same step. It knows no console: what a person should know is handed back as sentences.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/store.h"
#include "config/resolve.h"
#include "data/dataset.h"
#include "files/run_lock.h"
#include "ledger/ledger.h"
#include "train/branch.h"
#include "train/state.h"
#include "train/summary.h"

namespace longhaul::train {

/// What a checkpoint must agree with: every option that reaches a bit, and the content of the data.
checkpoint::RunIdentity identity_of(const config::RunConfig& config, const data::Dataset& dataset);

/// What the checkpoint held besides the tensors.
struct Restored {
  TrainState state;
  std::vector<ledger::Change> changes;  ///< of the configuration since; not in the ledger yet
  std::vector<std::string> messages;    ///< what was found damaged on the way to it; what going back removed
  std::int64_t went_back_from = 0;      ///< newest step of the checkpoints that are an older generation from now on; 0: none are
};

class RunDirectory {
 public:
  /// Creates the directory if needed and takes its lock. @throws UsageError naming the holder when another process has it
  RunDirectory(const config::ResolvedConfig& resolved, const checkpoint::RunIdentity& identity);

  const std::filesystem::path& path() const { return lock_.run_directory(); }
  /// 1 for the first launch of this run, then 2, …
  std::int64_t launch() const { return lock_.launch(); }
  const checkpoint::RunIdentity& identity() const { return identity_; }
  /// What opening removed that a killed save had left.
  const std::vector<std::string>& messages() const { return store_.messages(); }

  /// Fills the tensors from the newest checkpoint that verifies, and opens the ledger after its step. Nothing: the run was never saved.
  /// @param from_step  the checkpoint of this step instead; later ones become an older generation before anything else is changed
  /// @throws CheckpointError when it belongs to another configuration (train/changes.h), or damaged ones are all there is
  std::optional<Restored> restore(std::span<const checkpoint::TensorEntry> tensors, std::optional<std::int64_t> from_step = {});
  /// Begins a branch: an empty ledger with its record, the parent's records in a file of their own, and its first checkpoint.
  void begin_branch(const Branched& branched, std::span<const checkpoint::TensorEntry> tensors);
  /// Writes run.toml: every option with its value and where it came from.
  void write_run_file() const;

  /// After restore().
  ledger::Ledger& ledger() { return *ledger_; }
  /// Loss of the last step in the ledger, of a branch without steps of its parent's; 0 without one.
  double last_recorded_loss() const;
  /// How an earlier launch finished with this state. @throws Error when the events cannot be read
  std::optional<TrainSummary> earlier_finish(const std::string& state_hash) const;

  /// Makes the ledger and the state durable. @throws Error; the newest checkpoint is then still the one before
  checkpoint::Saved save(const TrainState& state, std::span<const checkpoint::TensorEntry> tensors);
  /// The step of the newest checkpoint that this launch loaded or saved; −1 without one.
  std::int64_t saved_step() const { return saved_step_; }

 private:
  files::RunLock lock_;
  config::ResolvedConfig resolved_;
  checkpoint::RunIdentity identity_;
  checkpoint::Store store_;
  std::optional<ledger::Ledger> ledger_;
  std::int64_t saved_step_ = -1;
};

}  // namespace longhaul::train
