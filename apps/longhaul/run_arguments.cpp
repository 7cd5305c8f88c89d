#include "run_arguments.h"

#include <fmt/format.h>

#include "train/engine.h"
#include "units/error.h"

namespace longhaul::app {

void RunArguments::add_to(CommandLine& line) {
  line.option("RUN.toml", run_file, "run file; its options: docs/options.md");
  line.option("--model", model,
              "instead of a run file: NAME of examples/models, a model's file, or a Hugging Face config.json; defaults for the rest");
  line.option("--set", sets, "table.key=value: replaces a value of the run file; may be repeated").one_value_each_time();
  line.flag("--json", json, "one JSON document on stdout");
}

config::ResolvedConfig RunArguments::resolve() const {
  if (run_file.empty() == model.empty()) {
    throw UsageError(run_file.empty() ? "give a run file, or --model NAME" : "give a run file or --model NAME, not both");
  }
  config::ResolvedConfig resolved = model.empty() ? config::resolve_file(run_file, sets) : config::resolve_model(model, sets);
  for (const std::string& warning : resolved.warnings) fmt::print(stderr, "warning: {}\n", warning);
  return resolved;
}

config::ResolvedConfig RunArguments::resolve_for_one_rank() const {
  config::ResolvedConfig resolved = resolve();
  if (const auto beyond = train::unsupported(resolved.config)) throw UsageError(config::place(resolved, beyond->option) + beyond->sentence);
  return resolved;
}

}  // namespace longhaul::app
