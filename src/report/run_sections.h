// report/run_sections.h — the parts of a run's page that come from its ledger alone: loss, what the gradient shows, passages, the machine,
// changes of settings.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "config/run_config.h"
#include "ledger/ledger.h"
#include "report/plot.h"

namespace longhaul::report {

using Records = std::vector<ledger::Record>;

/// A value of each record over the steps.
template <typename Value>
Series over_steps(const std::string& name, const Records& records, Value value) {
  Series series{name, {}, {}};
  for (const ledger::Record& record : records) {
    series.x.push_back(static_cast<double>(record.result.step));
    series.y.push_back(value(record));
  }
  return series;
}

/// Training and held-out loss; of a branch the parent's before it; a line where a setting changed.
std::string loss_plot(const Records& records, const Records& parent, const ledger::Settings& settings);
/// Norms of each tensor over the steps (log.tensors_every), and the gradient noise scale beside the batch. Empty parts are left out.
std::string gradient_sections(const config::RunConfig& config, const Records& records, const std::vector<nlohmann::json>& events);
/// The passages that were generated with validations.
/// @param prompt  of the run now; what it was before is in the changes
std::string passages(const std::string& prompt, const ledger::Settings& settings, const Records& records);
/// Processor time, disk and temperature.
std::string machine_plots(const Records& records);
/// The parent of a branch and what differs, and the settings that changed on the way.
/// Of a launch on many ranks: seconds by phase, bytes and memory of each, planned beside counted; nothing for one rank.
std::string ranks_section(const std::vector<nlohmann::json>& events);
std::string settings_section(const ledger::Settings& settings);

}  // namespace longhaul::report
