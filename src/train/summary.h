// train/summary.h — how a launch ended: what `train` prints, and what the ledger's event "finish" or "stop" keeps of it.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "train/evaluate.h"

namespace longhaul::train {

enum class StopReason : std::uint8_t { none, finished, signal, guard };

struct TrainSummary {
  std::int64_t steps = 0, tokens = 0, skipped = 0;
  std::optional<std::int64_t> resumed_from_step;
  double final_loss = 0;
  std::optional<Evaluation> validation;
  std::optional<double> noise_sequences;  ///< gradient noise scale; absent where it could not be measured
  std::string state_hash;
  StopReason stop = StopReason::none;
};

/// The fields of the ledger's event at the end of a launch.
nlohmann::json event_fields(const TrainSummary& summary);
/// What the last event "finish" of a run with this state hash says; resumed_from_step is left empty. Nothing without such an event.
std::optional<TrainSummary> finished_with(const std::vector<nlohmann::json>& events, const std::string& state_hash);

}  // namespace longhaul::train
