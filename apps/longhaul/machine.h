// apps/longhaul/machine.h — measures this machine for plan, train, bench and calibrate: kernels and memory, never a whole step.
#pragma once

#include <string>

#include "cluster/profile.h"
#include "config/run_config.h"
#include "plan/account.h"
#include "train/engine.h"

namespace longhaul::app {

/// The processor's name as the system gives it.
std::string processor_name();

/// Register-only peak, GEMM and attention rates of one combination; about a second.
cluster::ComputeRates measure_compute(kernels::Order order, kernels::Family family, int threads);
cluster::MemoryRates measure_memory(int threads);

/// Rates of the run's own order, family and threads, measured now.
cluster::Profile measure(const config::RunConfig& config);
/// The same, kept in the run's directory (profile.toml), so that a resumed launch on the same machine starts at once.
cluster::Profile profile_of_run(const config::RunConfig& config);

/// The account of a run: its programs executed on the profile's rates.
/// @throws UsageError when the profile has no rates for the run's order, family and threads
plan::Account account_of(const config::RunConfig& config, const cluster::Profile& profile);

}  // namespace longhaul::app
