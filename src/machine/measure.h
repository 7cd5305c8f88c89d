// machine/measure.h — what this machine does at best and in each kernel, for one summation order, instruction set and number of threads.
//
// A profile is measured once and kept in the user's cache (machine/profile_cache.h). Whoever needs the seconds of some calls asks with
// them: what the kept profile knows is not measured again.
#pragma once

#include <optional>
#include <vector>

#include "cluster/profile.h"
#include "machine/measure_kernels.h"
#include "machine/profile_cache.h"

namespace longhaul::machine {

/// Register-only peak and the seconds of the calls given.
cluster::ComputeRates measure_compute(const Combination& what, const std::vector<cluster::KernelCall>& calls, const Watch& watch);
cluster::MemoryRates measure_memory(int threads);

/// Whether the rates tell the seconds of each call: it was measured, or the machine was calibrated (memory too, which nothing else
/// measures) and its kernel's trend is known.
bool knows(const cluster::Profile& profile, const Combination& what, const std::vector<cluster::KernelCall>& calls);
/// The kept profile where it knows the calls. Measures nothing.
std::optional<cluster::Profile> kept_profile(const ProfileCache& cache, const Combination& what,
                                             const std::vector<cluster::KernelCall>& calls);

enum class Measure : std::uint8_t {
  what_is_missing,  ///< adds to the kept profile
  anew              ///< replaces it
};
/// The profile that knows the calls, measured now as far as needed and kept. Where `watch.enough` ended the measurement what there is.
/// @param calls  as programs make them; those that would take too long are measured smaller (measurable())
cluster::Profile measured_profile(const ProfileCache& cache, const Combination& what, const std::vector<cluster::KernelCall>& calls,
                                  Measure measure, const Watch& watch);
/// About what that takes with Measure::what_is_missing.
Seconds missing_time(const ProfileCache& cache, const Combination& what, const std::vector<cluster::KernelCall>& calls);

}  // namespace longhaul::machine
