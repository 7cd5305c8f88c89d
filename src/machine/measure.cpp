#include "machine/measure.h"

#include <algorithm>

#include "kernels/product/peak.h"
#include "ledger/record.h"
#include "machine/process.h"

namespace longhaul::machine {
namespace {

using cluster::KernelCall;

const cluster::ComputeRates* find_rates(const cluster::Profile& profile, const Combination& what) {
  return profile.find(std::string(kernels::name(what.order)), std::string(kernels::name(what.family)), what.threads);
}

bool has_points(const cluster::KernelRates& rates, cluster::Kernel kernel) {
  return std::any_of(rates.points().begin(), rates.points().end(), [&](const auto& point) { return point.call.kernel == kernel; });
}

/// Calls, as they would be measured, that the profile has not.
std::vector<KernelCall> missing(const std::optional<cluster::Profile>& profile, const Combination& what,
                                const std::vector<KernelCall>& calls) {
  const cluster::ComputeRates* rates = profile ? find_rates(*profile, what) : nullptr;
  std::vector<KernelCall> out;
  for (const KernelCall& call : calls)
    if (const KernelCall smaller = measurable(call); !rates || !rates->kernels.measured(smaller)) out.push_back(smaller);
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

}  // namespace

cluster::ComputeRates measure_compute(const Combination& what, const std::vector<KernelCall>& calls, const Watch& watch) {
  kernels::ThreadPool pool(what.threads);
  const kernels::Context context{pool, what.family, what.order};
  return {std::string(kernels::name(what.order)), std::string(kernels::name(what.family)), what.threads, kernels::matmul_peak(context),
          measure_kernels(context, calls, watch)};
}

cluster::MemoryRates measure_memory(int threads) {
  kernels::ThreadPool pool(threads);
  const kernels::Context context{pool, kernels::best_family(), kernels::Order::fma};
  return {threads, kernels::memory_bandwidth(context, kernels::bandwidth_array_bytes()).triad};
}

bool knows(const cluster::Profile& profile, const Combination& what, const std::vector<KernelCall>& calls) {
  const cluster::ComputeRates* rates = find_rates(profile, what);
  if (!rates) return false;
  const bool calibrated = !profile.memory.empty();
  return std::all_of(calls.begin(), calls.end(), [&](const KernelCall& call) {
    return rates->kernels.measured(measurable(call)) || (calibrated && has_points(rates->kernels, call.kernel));
  });
}

std::optional<cluster::Profile> kept_profile(const ProfileCache& cache, const Combination& what, const std::vector<KernelCall>& calls) {
  std::optional<cluster::Profile> kept = cache.read(what);
  if (kept && !knows(*kept, what, calls)) kept.reset();
  return kept;
}

cluster::Profile measured_profile(const ProfileCache& cache, const Combination& what, const std::vector<KernelCall>& calls, Measure measure,
                                  const Watch& watch) {
  std::optional<cluster::Profile> kept;
  if (measure == Measure::what_is_missing) kept = cache.read(what);
  if (kept && knows(*kept, what, calls)) return *kept;
  const std::vector<KernelCall> lacking = missing(kept, what, calls);
  cluster::Profile profile;
  if (kept) {  // its date stays: the rates are at least as old as it says
    profile = std::move(*kept);
    kernels::ThreadPool pool(what.threads);
    const cluster::KernelRates fresh = measure_kernels({pool, what.family, what.order}, lacking, watch);
    for (const cluster::KernelPoint& point : fresh.points()) profile.compute.front().kernels.add(point);
  } else {
    profile = {processor_name(), ledger::utc_now(), {measure_compute(what, lacking, watch)}};
  }
  cache.keep(what, profile);
  return profile;
}

Seconds missing_time(const ProfileCache& cache, const Combination& what, const std::vector<KernelCall>& calls) {
  return measuring_time(missing(cache.read(what), what, calls).size());
}

}  // namespace longhaul::machine
