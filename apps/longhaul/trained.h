// apps/longhaul/trained.h — a run's newest verified weights, for verbs that only read them.
#pragma once

#include "checkpoint/store.h"
#include "train/engine.h"

namespace longhaul::app {

/// Fills the engine's weights from the newest verified checkpoint of its run: the average where the run keeps one, else the weights.
/// @throws CheckpointError when there is none, naming the directory
checkpoint::Loaded load_trained(train::Engine& engine);

}  // namespace longhaul::app
