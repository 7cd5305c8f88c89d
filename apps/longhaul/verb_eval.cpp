// longhaul eval: held-out loss of a run's newest checkpoint.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "command_line.h"
#include "console.h"
#include "run_arguments.h"
#include "train/evaluate.h"
#include "train/trained_model.h"
#include "verbs.h"

namespace longhaul::app {

int verb_eval(int argc, char** argv) {
  CommandLine line(
      "longhaul eval",
      "Held-out loss of a run's newest verified checkpoint (its average where the run keeps one), in nats/token and bits/byte.\n"
      "Example: longhaul eval examples/demo.toml");
  RunArguments arguments;
  arguments.add_to(line);
  std::int64_t max_tokens = 0;
  line.option("--max-tokens", max_tokens, "tokens to read at most, from the start (default: all held-out text; bits/byte needs all)")
      .non_negative();
  if (const std::optional<int> code = line.parse(argc, argv)) return *code;

  const config::RunConfig config = arguments.resolve_for_one_rank().config;
  const train::Console console = make_console();
  console.begin("verifying the data");
  const data::Dataset dataset = data::Dataset::open(config.data.directory);
  dataset.require_vocabulary(config.model.vocab);
  train::Engine engine(config, train::Engine::Use::evaluation);
  console.begin("loading the newest checkpoint");
  const checkpoint::Loaded loaded = train::load_trained(engine, dataset, complain);
  const train::Evaluation result = train::evaluate(engine, dataset.heldout(), max_tokens, [&](std::int64_t done, std::int64_t all) {
    console.live(fmt::format("evaluating: {} of {} sequences", done, all));
  });
  console.say(fmt::format("{} of {}", loaded.commit.name(), config.run.directory));
  if (arguments.json) {
    nlohmann::json out = {{"step", loaded.commit.step}, {"loss", result.loss}, {"targets", result.targets}};
    out["bits_per_byte"] = result.bits_per_byte ? nlohmann::json(*result.bits_per_byte) : nlohmann::json();
    print_json(out);
    return 0;
  }
  fmt::print("{:.4f} nats/token over {} targets\n", result.loss, result.targets);
  if (result.bits_per_byte) fmt::print("longhaul {:.3f} bits/byte\n", *result.bits_per_byte);
  return 0;
}

}  // namespace longhaul::app
