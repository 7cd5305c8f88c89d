// apps/longhaul/run_plan.h — the plan of a run on one rank of this machine: the kernels that its step calls, its account, and the plans
// that its launches leave in the run's directory.
//
//   plan.json            of the launch with which the run's life began; unmeasured where this machine's kernels had not been measured yet
//   plan-<launch>.json   of a later launch, or of the end of one, where the plan made then is measured and another than the newest
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "cluster/profile.h"
#include "config/run_config.h"
#include "machine/profile_cache.h"
#include "plan/account.h"
#include "program/program.h"

namespace longhaul::app {

/// Says on stderr where run.threads is more than the processors this process may use.
void warn_of_threads(const config::RunConfig& config);

/// What the run's kernels are measured for.
machine::Combination combination_of(const config::RunConfig& config);
/// One optimizer step of the run, with its kernels' workspaces.
program::Program step_of_run(const config::RunConfig& config);
/// What must be measured to know the step's time.
std::vector<cluster::KernelCall> calls_of(const config::RunConfig& config, const program::Program& step);

/// The profile's rates for the run's order, family and threads. Throws UsageError where it has none.
const cluster::ComputeRates& rates_of_run(const cluster::Profile& profile, const config::RunConfig& config);
/// The account of a run: its step executed on the profile's rates; without a profile one that has no time.
/// @param arena  the allocation for the step and for evaluation
/// @throws UsageError when the profile has no rates for the run's order, family and threads
plan::Account account_of(const config::RunConfig& config, const program::Program& step, Bytes arena,
                         const std::optional<cluster::Profile>& profile);
/// The arena that a run of this step allocates.
Bytes arena_of_run(const config::RunConfig& config, const program::Program& step);

/// Leaves the plan of a launch in the run's directory; no plan there is ever overwritten.
/// @return the name of the newest plan there is then
std::string keep_plan(const std::filesystem::path& directory, std::int64_t launch, const plan::Account& account);

}  // namespace longhaul::app
