// train/training.h — the training itself: data, model, counters, and what one step or one validation does with them.
//
// It knows neither the run's directory nor the console. Whoever opens it fills the engine's tensors (Run: from the newest checkpoint) and
// says with start() or resume() where the data begin.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "config/run_config.h"
#include "data/dataset.h"
#include "data/loader.h"
#include "ledger/record.h"
#include "tokenizer/tokenizer.h"
#include "train/engine.h"
#include "train/evaluate.h"
#include "train/inference.h"
#include "train/state.h"

namespace longhaul::train {

/// How a run reads its training data, on a thread of its own that prepares two batches ahead.
data::LoaderOptions loader_options(const config::RunConfig& config);

class Training {
 public:
  /// Takes the memory of this rank's part of the model. @throws UsageError when it cannot be trained
  Training(const config::RunConfig& config, data::Dataset dataset, comm::Communicator& communicator);

  /// From the first step: weights drawn from the seed.
  void start();
  /// After the checkpoint whose tensors the engine holds.
  void resume(const TrainState& saved);

  Engine engine;
  TrainState state;

  const config::RunConfig& config() const { return engine.config(); }
  const data::Dataset& dataset() const { return dataset_; }
  bool has_heldout() const { return dataset_.heldout().tokens() > 1; }

  double learning_rate() const;
  /// The same by the count of applied and skipped steps: where it differs, a counter has gone astray (guards).
  double scheduled_learning_rate() const;
  data::Batch next_batch();
  /// Counters after a step.
  void advance(const data::Batch& batch, bool applied);
  /// Whether a cadence in steps or tokens falls on the step just finished.
  bool due(const config::Cadence& cadence) const;
  /// Whether it will fall on the step that ends with this batch.
  bool due_with(const config::Cadence& cadence, const data::Batch& batch) const;
  /// Whether the held-out text is due; never where the dataset holds none out.
  bool validation_due() const { return has_heldout() && due(config().validation.every); }
  /// Held-out loss. max_tokens 0: all of the text, with bits/byte.
  Evaluation validate(std::int64_t max_tokens, const EvaluationProgress& progress);
  /// What follows validation.prompt, by the average where there is one; nothing without a prompt.
  std::optional<ledger::Passage> passage();
  /// Of the state of all ranks, which call it together: on rank 0; empty on the others.
  std::string state_hash() const;

 private:
  void open_loader();

  data::Dataset dataset_;
  std::optional<data::Loader> loader_;
  std::optional<data::Batch> only_batch_;          ///< run.overfit_one_batch
  std::optional<tokenizer::Tokenizer> tokenizer_;  ///< where there is a validation.prompt
  std::optional<Inference> inference_;
  std::int64_t previous_tokens_ = 0;  ///< before the step just finished
  std::int64_t validated_step_ = -1;
  Evaluation validation_;  ///< of validated_step_
};

}  // namespace longhaul::train
