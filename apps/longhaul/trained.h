// apps/longhaul/trained.h — a run's newest verified weights, for verbs that only read them.
#pragma once

#include "checkpoint/store.h"
#include "data/dataset.h"
#include "train/engine.h"

namespace longhaul::app {

/// Fills the engine's weights from the newest verified checkpoint of its run: the average where the run keeps one, else the weights.
/// @throws CheckpointError when there is none, naming the directory
/// @throws UsageError when the checkpoint was trained as another model, in another precision or with another tokenizer, naming the lines
checkpoint::Loaded load_trained(train::Engine& engine, const data::Dataset& dataset);

/// The check of load_trained() alone; the rest of the data and the schedule may differ.
void require_same_model(const config::RunConfig& config, const data::Dataset& dataset, const checkpoint::Loaded& loaded);

}  // namespace longhaul::app
