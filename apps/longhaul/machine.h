// apps/longhaul/machine.h — measures this machine for plan, train, bench and calibrate: kernels and memory, never a whole step.
#pragma once

#include <string>
#include <vector>

#include "cluster/profile.h"
#include "config/run_config.h"
#include "measure_kernels.h"
#include "plan/account.h"
#include "train/engine.h"

namespace longhaul::app {

/// The processor's name as the system gives it.
std::string processor_name();

/// Says on stderr where run.threads is more than the processors this process may use.
void warn_of_threads(const config::RunConfig& config);

/// Register-only peak and the seconds of the calls given, for one combination.
cluster::ComputeRates measure_compute(kernels::Order order, kernels::Family family, int threads,
                                      const std::vector<cluster::KernelCall>& calls, const Progress& progress);
cluster::MemoryRates measure_memory(int threads);

/// The kernels of the run's own step at its own shapes, order, family and threads, measured now: one to five seconds.
cluster::Profile measure(const config::RunConfig& config, const Progress& progress);
/// The same, kept in the run's directory (profile.toml), so that a resumed launch on the same machine starts at once.
cluster::Profile profile_of_run(const config::RunConfig& config, const Progress& progress);

/// One optimizer step of the run, with its kernels' workspaces.
program::Program step_of_run(const config::RunConfig& config);
/// The profile's rates for the run's order, family and threads. Throws UsageError where it has none.
const cluster::ComputeRates& rates_of_run(const cluster::Profile& profile, const config::RunConfig& config);
/// The account of a run: its programs executed on the profile's rates.
/// @throws UsageError when the profile has no rates for the run's order, family and threads
plan::Account account_of(const config::RunConfig& config, const cluster::Profile& profile);

}  // namespace longhaul::app
