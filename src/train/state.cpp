#include "train/state.h"

#include <nlohmann/json.hpp>

namespace longhaul::train {

nlohmann::json to_json(const TrainState& state) {
  return {{"step", state.step},     {"applied", state.applied}, {"skipped", state.skipped},
          {"tokens", state.tokens}, {"sample", state.sample},   {"guards", to_json(state.guards)}};
}

TrainState state_from_json(const nlohmann::json& document) {
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
