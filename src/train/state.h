// train/state.h — everything that affects the next step, beside the tensors: one struct, one JSON document.
//
// The tensors (weights, moments, average) are in the engine's registry; the rest is here. A checkpoint walks both, so nothing that
// reaches a bit can be forgotten in one of them alone. Schedules and random numbers are functions of these counters and the seed.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>

#include "train/guards.h"

namespace longhaul::train {

struct TrainState {
  std::int64_t step = 0;     ///< steps finished, skipped ones included: position of the schedule
  std::int64_t applied = 0;  ///< updates applied: t of Adam's bias corrections
  std::int64_t skipped = 0;
  std::int64_t tokens = 0;  ///< positions processed
  std::int64_t sample = 0;  ///< global sample index: the data position
  GuardState guards;
};

inline nlohmann::json to_json(const TrainState& state) {
  return {{"step", state.step},     {"applied", state.applied}, {"skipped", state.skipped},
          {"tokens", state.tokens}, {"sample", state.sample},   {"guards", to_json(state.guards)}};
}

inline TrainState state_from_json(const nlohmann::json& document) {
  TrainState state;
  state.step = document.at("step").get<std::int64_t>();
  state.applied = document.at("applied").get<std::int64_t>();
  state.skipped = document.at("skipped").get<std::int64_t>();
  state.tokens = document.at("tokens").get<std::int64_t>();
  state.sample = document.at("sample").get<std::int64_t>();
  state.guards = guards_from_json(document.at("guards"));
  return state;
}

}  // namespace longhaul::train
