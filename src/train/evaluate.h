// train/evaluate.h — held-out loss: one fp64 sum a sequence, added in sequence order, so its batch size reaches no bit.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "data/dataset.h"
#include "train/engine.h"

namespace longhaul::train {

struct Evaluation {
  double loss = 0;  ///< nats per target
  std::int64_t targets = 0;
  /// −log₂ p over all targets ÷ bytes of the held-out text (accounting G); absent when only a part was read.
  std::optional<double> bits_per_byte;
};

/// Called with sequences done and in all.
using EvaluationProgress = std::function<void(std::int64_t, std::int64_t)>;

/// Reads `stream` in windows of the run's sequence_length with the average where there is one, else the weights.
/// @param max_tokens  0: all of it; else as many whole sequences as hold that many tokens, from the start
Evaluation evaluate(Engine& engine, const data::TokenStream& stream, std::int64_t max_tokens, const EvaluationProgress& progress = {});

}  // namespace longhaul::train
