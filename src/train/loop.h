// train/loop.h — one optimizer step after another until the budget is spent.
//
// The loop reads as the algorithm and knows nothing of ranks, files or hardware: the program it executes was built for this rank
// (src/program), guards judge (train/guards.h), the ledger remembers. Every phase is timed under its name; the names add up to the step
// (accounting F6).
#pragma once

#include "train/run.h"

namespace longhaul::train {

/// Trains until the step budget is spent, a guard stops the run or a signal asks for it.
/// @param run  everything the step reads; the state and engine of its training are all that changes, and all that a checkpoint holds
/// @throws DataError, Error   nothing is half-written: the last commit stays the newest
TrainSummary train(Run& run);

}  // namespace longhaul::train
