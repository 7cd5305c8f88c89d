// apps/longhaul/cluster_arguments.h — the options of verbs that plan for a cluster of the catalogue.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "cluster/catalogue.h"
#include "command_line.h"
#include "config/run_config.h"
#include "plan/forecast.h"
#include "plan/search.h"
#include "program/layout.h"
#include "run_arguments.h"

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
  /// The run file with the steps of --tokens, or the model with usual_batch() where no batch is set; says so on stderr.
  /// @param device_counts  those that the run is planned for
  config::ResolvedConfig resolve(const RunArguments& run, const std::vector<int>& device_counts) const;
  /// The run on a cluster, without a layout yet.
  cost::RunShape shape(const config::RunConfig& config, const cluster::Cluster& on) const;
  /// @param run_file  whether a run file says how many tokens there are
  plan::JobFacts facts(const config::RunConfig& config, bool run_file) const;
  /// The shipped one, or --calibration's; with --from-runs refitted to these, which prints the errors before and after on stderr.
  cost::Calibration calibrate(const cluster::Cluster& on) const;
};

/// Where the layout of a plan comes from.
struct LayoutChoice {
  std::optional<program::Layout> layout;  ///< of --layout, or of a run file whose [parallel] has several ranks
  plan::Restriction kept;                 ///< where there is none: keys that [parallel] gives, each with its one value
};
/// The keys of [parallel] that the run file or --set gives, each with its value. A file that gives dp, tp, pp and cp describes a whole
/// layout, as a resolved run.toml does: of its keys those are kept that differ from one rank's.
plan::Restriction keys_given(const config::ResolvedConfig& resolved);
/// @param layout  of --layout; empty without. Prints on stderr what becomes of [parallel].
LayoutChoice choose_layout(const std::string& layout, const config::ResolvedConfig& resolved);
/// "tp=4,recompute=layer".
std::string to_text(const plan::Restriction& kept);
/// Removes the layouts that lack a kept value.
void keep_only(std::vector<cost::RunShape>& shapes, const plan::Restriction& kept);

/// The layouts that `search` considers for a run, where a plan was asked for without one.
/// @param kept  keys with one value that each layout must have
/// @throws UsageError  no layout has what is kept
plan::SearchResult considered_layouts(const cost::RunShape& run, const cluster::Cluster& on, const cost::Calibration& calibration,
                                      const plan::Restriction& kept, const plan::Restriction& offered = {});
/// The fastest that fits; where none does, the one of least memory. Says which on stderr.
cost::RunShape fastest(const plan::SearchResult& considered, cost::RunShape run);

/// Sequences of about four million tokens, a number that data parallelism of many sizes divides on each number of devices.
std::int64_t usual_batch(std::int64_t sequence_length, const std::vector<int>& device_counts);

/// "300B". Throws UsageError that names the option.
Tokens tokens_of(const char* option, const std::string& text);

}  // namespace longhaul::app
