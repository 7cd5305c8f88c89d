#include "run_arguments.h"

#include <fmt/format.h>

#include "program/layout.h"
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

config::ResolvedConfig RunArguments::resolve_for_training() const {
  config::ResolvedConfig resolved = resolve();
  if (const auto beyond = train::unsupported(resolved.config)) throw UsageError(config::place(resolved, beyond->option) + beyond->sentence);
  return resolved;
}

config::ResolvedConfig RunArguments::resolve_for_one_rank() const {
  config::ResolvedConfig resolved = resolve_for_training();
  resolved.config = train::of_one_rank(resolved.config);
  return resolved;
}

void RanksArguments::add_to(CommandLine& line) {
  line.option("--ranks", ranks,
              "ranks, as threads of this process with run.threads threads each (0: processors ÷ ranks); data-parallel unless the run "
              "file or --layout say otherwise. The result is the same for every number")
      .positive();
  line.option("--layout", layout, "dp=2,pp=2,zero=1: how the step is spread over ranks, in the words of the run file's [parallel]")
      .not_empty();
}

void RanksArguments::apply(RunArguments& run) const {
  if (!layout.empty()) {
    const program::Layout parsed = program::parse_layout(layout);
    for (const std::string_view key : program::layout_keys()) {
      const std::string value = program::layout_value(parsed, key);
      if (!value.empty()) run.sets.push_back(fmt::format("parallel.{}={}", key, key == "shard" && value == "all" ? "0" : value));
    }
  }
  if (ranks == 0) return;
  const config::RunConfig config = run.resolve().config;
  const int world = program::layout_of(config.parallel).world();
  if (world == ranks) return;
  if (world > 1)
    throw UsageError(
        fmt::format("--ranks {}: the layout {} has {} ranks", ranks, program::to_text(program::layout_of(config.parallel)), world));
  if (ranks > config.batch.virtual_ranks)
    throw UsageError(
        fmt::format("--ranks {}: data-parallel ranks host the run's V = {} virtual ranks (batch.virtual_ranks), so there are at most {}; "
                    "more ranks take stages of the model: --layout dp={},pp={}",
                    ranks, config.batch.virtual_ranks, config.batch.virtual_ranks, config.batch.virtual_ranks,
                    (ranks + config.batch.virtual_ranks - 1) / config.batch.virtual_ranks));
  run.sets.push_back(fmt::format("parallel.dp={}", ranks));
}

}  // namespace longhaul::app
