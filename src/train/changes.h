// train/changes.h — which settings a run may change where it goes on from a checkpoint, and which need a run of their own.
//
// Options that reach no bit are not asked about. Those of config::Effect::recorded may change; each change becomes a record of the
// ledger's chain, which a replay applies. run.steps may change while the learning rates of all steps so far stay the same: with a
// constant rate, or in the stable phase of wsd. Everything else is another run: a branch (train/branch.h).
#pragma once

#include <cstdint>
#include <vector>

#include "checkpoint/commit.h"
#include "config/resolved.h"
#include "ledger/record.h"

namespace longhaul::train {

/// The changes with which a run of this configuration goes on from a checkpoint.
/// @param theirs, ours  identities of the checkpoint and of the run
/// @throws CheckpointError naming each setting that may not change, with both values and the command that begins a branch; settings that
/// were computed from others are named only where nothing else differs
std::vector<ledger::Change> changes_since(const checkpoint::RunIdentity& theirs, const checkpoint::RunIdentity& ours,
                                          const config::ResolvedConfig& resolved, const checkpoint::Commit& commit);

}  // namespace longhaul::train
