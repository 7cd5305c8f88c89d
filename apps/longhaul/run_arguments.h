// apps/longhaul/run_arguments.h — the arguments that verbs share: RUN.toml | --model NAME, --set table.key=value, --json.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "command_line.h"
#include "config/resolve.h"

namespace longhaul::app {

struct RunArguments {
  std::string run_file;
  std::string model;
  std::vector<std::string> sets;
  bool json = false;

  /// Declares the arguments on a verb. Keep the object alive while parsing.
  void add_to(CommandLine& line);
  /// Exactly one of run file and model, resolved with the overrides. Throws UsageError.
  config::ResolvedConfig resolve() const;
  /// The same of a run that this machine executes: also throws UsageError, with the place, for a layout that is planned and not trained.
  config::ResolvedConfig resolve_for_training() const;
  /// The same for what one rank does alone, whatever the run's layout: evaluation, generation, export.
  config::ResolvedConfig resolve_for_one_rank() const;
};

/// --ranks and --layout: how a run is spread over ranks, for this launch.
struct RanksArguments {
  std::int64_t ranks = 0;  ///< 0: not given
  std::string layout;

  void add_to(CommandLine& line);
  /// Puts the layout before the overrides of `run`. @throws UsageError for a layout of another number of ranks, and for dp above V
  void apply(RunArguments& run) const;
};

}  // namespace longhaul::app
