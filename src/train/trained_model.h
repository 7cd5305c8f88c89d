// train/trained_model.h — the newest verified checkpoint of a run, for those that only read it: evaluation, generation, export, debugging.
//
// A run that goes on from a checkpoint needs the very same configuration and data (checkpoint::RunIdentity). Reading weights needs less:
// the same model, precision and tokenizer, in which case the numbers mean what the run file says. This is where that is decided.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "checkpoint/store.h"
#include "data/dataset.h"
#include "train/engine.h"
#include "train/state.h"

namespace longhaul::train {

/// Takes a sentence for the person at the console: an older checkpoint is never used silently.
using Say = std::function<void(const std::string&)>;

/// Fills the engine's weights from the newest verified checkpoint of its run: the average where the run keeps one, else the weights.
/// @throws CheckpointError when there is none, naming the directory
/// @throws UsageError when the checkpoint was trained as another model, in another precision or with another tokenizer, naming the lines
checkpoint::Loaded load_trained(Engine& engine, const data::Dataset& dataset, const Say& say);

/// Fills weights, moments and average likewise and gives the counters that belong to them; nothing when the run was never saved.
std::optional<TrainState> load_trained_state(Engine& engine, const data::Dataset& dataset, const Say& say);

}  // namespace longhaul::train
