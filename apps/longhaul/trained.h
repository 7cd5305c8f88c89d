// apps/longhaul/trained.h — a run's newest verified weights, for verbs that only read them.
#pragma once

#include "checkpoint/store.h"
#include "train/engine.h"

namespace longhaul::app {

/// Fills the engine's weights from the newest verified checkpoint of its run: the average where the run keeps one, else the weights.
/// @throws CheckpointError when there is none, naming the directory
/// @throws UsageError when the checkpoint was trained as another model or in another precision than the run file says, naming the lines
checkpoint::Loaded load_trained(train::Engine& engine);

/// The check of load_trained() alone: options of [model] and [precision], whatever the data and the schedule.
void require_same_model(const config::RunConfig& config, const checkpoint::Loaded& loaded);

}  // namespace longhaul::app
