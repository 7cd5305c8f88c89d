#include "train/summary.h"

#include <nlohmann/json.hpp>

#include "files/read.h"

namespace longhaul::train {

nlohmann::json event_fields(const TrainSummary& summary) {
  nlohmann::json fields = {{"steps", summary.steps},
                           {"tokens", summary.tokens},
                           {"skipped", summary.skipped},
                           {"state_hash", summary.state_hash},
                           {"final_loss", summary.final_loss}};
  if (summary.noise_sequences) fields["noise_scale_sequences"] = *summary.noise_sequences;
  if (summary.validation) {
    fields["validation"] = {
        {"loss", summary.validation->loss}, {"targets", summary.validation->targets}, {"complete", summary.validation->complete}};
    if (summary.validation->bits_per_byte) fields["validation"]["bits_per_byte"] = *summary.validation->bits_per_byte;
  }
  return fields;
}

std::optional<TrainSummary> finished_with(const std::vector<nlohmann::json>& events, const std::string& state_hash) {
  for (auto event = events.rbegin(); event != events.rend(); ++event) {
    if (event->value("kind", "") != "finish" || event->value("state_hash", "") != state_hash) continue;
    TrainSummary summary;
    summary.steps = event->at("steps").get<std::int64_t>();
    summary.tokens = event->at("tokens").get<std::int64_t>();
    summary.skipped = event->at("skipped").get<std::int64_t>();
    summary.final_loss = files::json_double(event->at("final_loss"));
    summary.state_hash = state_hash;
    summary.stop = StopReason::finished;
    if (event->contains("noise_scale_sequences")) summary.noise_sequences = files::json_double(event->at("noise_scale_sequences"));
    if (event->contains("validation")) {
      const nlohmann::json& said = event->at("validation");
      Evaluation& validation = summary.validation.emplace();  // its sum is not recorded
      validation.loss = files::json_double(said.at("loss"));
      validation.targets = said.at("targets").get<std::int64_t>();
      const bool has_bits = said.contains("bits_per_byte");
      validation.complete = said.value("complete", has_bits);  // not said by early runs
      if (has_bits) validation.bits_per_byte = files::json_double(said.at("bits_per_byte"));
    }
    return summary;
  }
  return std::nullopt;
}

}  // namespace longhaul::train
