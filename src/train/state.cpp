#include "train/state.h"

#include <nlohmann/json.hpp>

namespace longhaul::train {

nlohmann::json to_json(const TrainState& state) {
  return {{"step", state.step},     {"applied", state.applied},        {"skipped", state.skipped},           {"tokens", state.tokens},
          {"sample", state.sample}, {"guards", to_json(state.guards)}, {"noise_scale", to_json(state.noise)}};
}

TrainState state_from_json(const nlohmann::json& document) {
  TrainState state;
  state.step = document.at("step").get<std::int64_t>();
  state.applied = document.at("applied").get<std::int64_t>();
  state.skipped = document.at("skipped").get<std::int64_t>();
  state.tokens = document.at("tokens").get<std::int64_t>();
  state.sample = document.at("sample").get<std::int64_t>();
  state.guards = guards_from_json(document.at("guards"));
  if (document.contains("noise_scale")) state.noise = noise_scale_from_json(document.at("noise_scale"));  // not in earlier checkpoints
  return state;
}

}  // namespace longhaul::train
