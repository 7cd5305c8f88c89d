// apps/longhaul/cluster_arguments.h — the options of verbs that plan for a cluster of the catalogue.
#pragma once

#include <filesystem>
#include <string>

#include "cluster/catalogue.h"
#include "command_line.h"
#include "config/run_config.h"
#include "plan/forecast.h"

namespace longhaul::app {

/// What a plan and a search for a cluster have in common.
struct ClusterArguments {
  std::string cluster, tokens, framework = "megatron-lm", precision = "bf16";
  std::filesystem::path calibration, own_runs;
  double price = 0, mtbf_hours = 0, save_seconds = 0;

  /// Declares the options of a cluster and its software; all others need --cluster. @return --cluster, for options of the verb's own
  Option add_hardware_to(CommandLine& line);
  /// The same, and the tokens of a run.
  Option add_to(CommandLine& line);
  /// The run on a cluster, without a layout yet.
  plan::RunShape shape(const config::RunConfig& config, const cluster::Cluster& on) const;
  plan::JobFacts facts(const config::RunConfig& config) const;
  /// The shipped one, or --calibration's; with --from-runs refitted to these, which prints the errors before and after on stderr.
  plan::Calibration calibrate(const cluster::Cluster& on) const;
};

/// "300B". Throws UsageError that names the option.
Tokens tokens_of(const char* option, const std::string& text);

}  // namespace longhaul::app
