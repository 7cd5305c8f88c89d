// train/branch.h — a run that goes on from a checkpoint of another one with other settings: its parent.
//
// The model and the tokenizer stay; everything else may differ. What the branch needs of its parent is copied before its first step: state,
// tensors and records. So nothing of the parent is read again, and nothing of it is written. run/branch.json is the first file of a branch:
// a directory with it and without a checkpoint is a branch whose beginning was cut short, and never a run that starts from its seed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/store.h"
#include "config/run_config.h"
#include "ledger/record.h"
#include "train/engine.h"
#include "train/state.h"

namespace longhaul::train {

struct BranchFrom {
  std::filesystem::path parent;      ///< run directory
  std::optional<std::int64_t> step;  ///< absent: the newest checkpoint
  std::string text = {};             ///< as it was given: the same command goes on with a branch whose parent is gone
  std::string state_hash = {};       ///< of the checkpoint that a beginning which was cut short had read
};

/// Reads "RUN" or "RUN@STEP"; RUN is a run directory, or a run file that names one. A path that is there is taken whole, whatever it ends
/// with. RUN need not be there: a branch that has begun goes on without it.
BranchFrom parse_branch(const std::string& text);

/// The branch that this directory has still to begin: as asked, or as branch.json says where its beginning was cut short. A branch has
/// begun with its first checkpoint or its first step: from then on its parent is never read again.
/// @throws UsageError when it holds another run or another branch, or the parent is not there; CheckpointError when a branch has lost its
/// checkpoints
std::optional<BranchFrom> branch_to_begin(const std::filesystem::path& run_directory, const std::optional<BranchFrom>& asked);

/// Identity of what a launch in this directory goes on from: the run's newest checkpoint, or the parent's of a branch that has still to
/// begin. Nothing where it starts from the seed. Reads manifests alone, and passes over those that cannot be read.
std::optional<checkpoint::RunIdentity> predecessor(const std::filesystem::path& run_directory, const std::optional<BranchFrom>& asked);

struct Branched {
  TrainState state;
  ledger::Branch record;
  std::string parent_records;         ///< lines of the parent's metrics up to the checkpoint
  std::vector<std::string> messages;  ///< about newer checkpoints of the parent that are damaged
};

/// Fills the engine's tensors from the parent's checkpoint, writes branch.json and gives what else the branch begins with. Without a step
/// that is the newest checkpoint which verifies. An average that the parent lacks begins as the weights.
/// @throws UsageError for a step without a checkpoint, another model or tokenizer, or a branch that has no step to train; CheckpointError
/// for a damaged one
Branched read_parent(const BranchFrom& from, const std::filesystem::path& run_directory, const checkpoint::RunIdentity& identity,
                     Engine& engine);

}  // namespace longhaul::train
