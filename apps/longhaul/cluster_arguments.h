// apps/longhaul/cluster_arguments.h — the options of verbs that plan for a cluster of the catalogue.
#pragma once

#include <string>

#include "cluster/catalogue.h"
#include "command_line.h"
#include "config/run_config.h"
#include "plan/forecast.h"

namespace longhaul::app {

struct ClusterArguments {
  std::string cluster, tokens, framework = "megatron-lm", precision = "bf16";
  double price = 0, mtbf_hours = 0, save_seconds = 0;

  /// Declares the options; each one's help begins with `when`.
  void add_to(CommandLine& line, const std::string& when = "");
  /// The run on a cluster, without a layout yet.
  plan::RunShape shape(const config::RunConfig& config, const cluster::Cluster& on) const;
  plan::JobFacts facts(const config::RunConfig& config) const;
};

}  // namespace longhaul::app
