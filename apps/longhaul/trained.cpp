#include "trained.h"

#include <fmt/format.h>

#include <cstdio>

namespace longhaul::app {

checkpoint::Loaded load_trained(train::Engine& engine) {
  const config::RunConfig& config = engine.config();
  const std::string_view group = config.optimizer.ema_beta > 0 ? checkpoint::kAverage : checkpoint::kWeights;
  const std::vector<checkpoint::TensorEntry> registry = engine.registry_of(group, engine.weights());
  checkpoint::Loaded loaded = checkpoint::read_newest(config.run.directory, registry);
  for (const std::string& message : loaded.messages) fmt::print(stderr, "{}\n", message);  // an older commit is never used silently
  engine.weights_changed();
  return loaded;
}

}  // namespace longhaul::app
