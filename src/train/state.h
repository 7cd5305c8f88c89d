// train/state.h — everything that affects the next step, beside the tensors: one struct, one JSON document.
//
// The tensors (weights, moments, average) are in the engine's registry; the rest is here. A checkpoint walks both, so nothing that
// reaches a bit can be forgotten in one of them alone. Schedules and random numbers are functions of these counters and the seed.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>

#include "train/guards.h"
#include "train/noise_scale.h"

namespace longhaul::train {

struct TrainState {
  std::int64_t step = 0;     ///< steps finished, skipped ones included: position of the schedule
  std::int64_t applied = 0;  ///< updates applied: t of Adam's bias corrections
  std::int64_t skipped = 0;
  std::int64_t tokens = 0;  ///< positions processed
  std::int64_t sample = 0;  ///< global sample index: the data position
  GuardState guards;
  NoiseScale noise;
};

nlohmann::json to_json(const TrainState& state);
TrainState state_from_json(const nlohmann::json& document);

}  // namespace longhaul::train
