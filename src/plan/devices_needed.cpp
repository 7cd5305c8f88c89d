#include "plan/devices_needed.h"

#include <algorithm>

namespace longhaul::plan {
namespace {

using program::Layout;
using program::Recompute;

constexpr int kMostDevices = 1 << 16;

bool can_run(const RunShape& run) {
  return run.global_batch % (run.micro_batch * run.layout.dp) == 0 &&
         program::contradictions(run.model, run.layout, run.sequence_length, run.micro_batches()).empty();
}

/// Every layout of a number of devices, those that cost least time first.
template <class Visit>
bool any_layout(int devices, int devices_per_node, int layers, const Visit& visit) {
  for (const Recompute recompute : {Recompute::none, Recompute::selective, Recompute::layer})
    for (int pp = 1; pp <= std::min(devices, layers); pp *= 2)
      for (int tp = 1; tp <= std::min(devices / pp, devices_per_node); tp *= 2) {
        Layout layout;
        layout.dp = devices / (pp * tp), layout.tp = tp, layout.pp = pp;
        layout.sequence_parallel = tp > 1, layout.recompute = recompute;
        for (layout.zero = 0; layout.zero <= (layout.dp > 1 ? 3 : 0); ++layout.zero)
          if (visit(layout)) return true;
      }
  return false;
}

}  // namespace

std::optional<DevicesNeeded> fits_on(const RunShape& run, const Calibration& calibration, double device_memory, int devices) {
  RunShape tried = run;
  tried.devices = devices;
  DevicesNeeded out;
  const bool fits = any_layout(devices, run.devices_per_node, static_cast<int>(run.model.layers), [&](const Layout& layout) {
    tried.layout = layout;
    if (!can_run(tried)) return false;
    out = {devices, layout, judge_fit(tried, calibration, device_memory)};
    return out.fit.fits;
  });
  return fits ? std::optional(out) : std::nullopt;
}

std::optional<DevicesNeeded> devices_needed(const RunShape& run, const Calibration& calibration, double device_memory) {
  for (int devices = 1; devices <= kMostDevices; devices *= 2)
    if (auto found = fits_on(run, calibration, device_memory, devices)) return found;
  return std::nullopt;
}

}  // namespace longhaul::plan
