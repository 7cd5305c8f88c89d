#include "train/trained_model.h"

#include <fmt/format.h>

#include <map>
#include <sstream>

#include "config/resolve.h"
#include "units/error.h"

namespace longhaul::train {
namespace {

/// Lines of a configuration's text that decide what the weights mean.
std::map<std::string, std::string> model_lines(const std::string& config_text) {
  std::map<std::string, std::string> lines;
  std::istringstream text(config_text);
  for (std::string line; std::getline(text, line);)
    if (line.starts_with("model.") || line.starts_with("precision.") || line.starts_with("data.tokenizer"))
      lines[line.substr(0, line.find(" = "))] = line;
  return lines;
}

/// The rest of the data and the schedule may differ.
void require_same_model(const config::RunConfig& config, const data::Dataset& dataset, const checkpoint::Loaded& loaded) {
  std::map<std::string, std::string> ours =
      model_lines(config::config_hash_text(config) + "data.tokenizer = " + dataset.manifest().tokenizer_fingerprint + "\n");
  std::string differences;
  for (const auto& [key, line] : model_lines(loaded.identity.config_text)) {
    if (ours[key] != line)
      differences += fmt::format("\n  checkpoint: {}    run file: {}", line, ours[key].empty() ? "nothing" : ours[key]);
    ours.erase(key);
  }
  for (const auto& [key, line] : ours) differences += fmt::format("\n  checkpoint: nothing    run file: {}", line);
  if (!differences.empty())
    throw UsageError(
        fmt::format("{} was trained as another model than the run file describes:{}", loaded.commit.directory.string(), differences));
}

checkpoint::Loaded load(Engine& engine, const data::Dataset& dataset, const std::vector<checkpoint::TensorEntry>& tensors, const Say& say) {
  checkpoint::Loaded loaded = checkpoint::read_newest(engine.config().run.directory, tensors);
  require_same_model(engine.config(), dataset, loaded);
  for (const std::string& message : loaded.messages) say(message);
  engine.weights_changed();
  return loaded;
}

}  // namespace

checkpoint::Loaded load_trained(Engine& engine, const data::Dataset& dataset, const Say& say) {
  const std::string_view group = engine.config().optimizer.ema_beta > 0 ? checkpoint::kAverage : checkpoint::kWeights;
  return load(engine, dataset, engine.registry_of(group, engine.weights()), say);
}

std::optional<TrainState> load_trained_state(Engine& engine, const data::Dataset& dataset, const Say& say) {
  if (checkpoint::list_commits(engine.config().run.directory).empty()) return std::nullopt;
  return state_from_json(load(engine, dataset, engine.registry(), say).state);
}

}  // namespace longhaul::train
