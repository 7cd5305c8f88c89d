// apps/longhaul/run_arguments.h — the arguments that verbs share: RUN.toml | --model NAME, --set table.key=value, --json.
#pragma once

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
  /// The same of a run that this machine executes: also throws UsageError, with the place, for a layout of several ranks.
  config::ResolvedConfig resolve_for_one_rank() const;
};

}  // namespace longhaul::app
