#include "plan/devices_needed.h"

#include <algorithm>
#include <cmath>

#include "cost/step.h"
#include "model/flops.h"

namespace longhaul::plan {
namespace {

using program::Layout;
using program::Recompute;

constexpr int kMostDevices = 1 << 16;

/// Every layout of a number of devices, those that cost least time first.
template <class Visit>
bool any_layout(int devices, int devices_per_node, int layers, const Visit& visit) {
  for (const Recompute recompute : {Recompute::none, Recompute::selective, Recompute::layer})
    for (int pp = 1; pp <= std::min(devices, layers); ++pp)
      for (int tp = 1; devices % (pp * tp) == 0 && tp <= devices_per_node; tp *= 2) {
        Layout layout;
        layout.dp = devices / (pp * tp), layout.tp = tp, layout.pp = pp;
        layout.sequence_parallel = tp > 1, layout.recompute = recompute;
        for (layout.zero = 0; layout.zero <= (layout.dp > 1 ? 3 : 0); ++layout.zero)
          if (visit(layout)) return true;
      }
  return false;
}

/// Twice as many, but a whole node before several.
int doubled(int devices, int node) { return devices < node ? std::min(2 * devices, node) : 2 * devices; }

}  // namespace

std::optional<DevicesNeeded> fits_on(const cost::RunShape& run, const cost::Calibration& calibration, double device_memory, int devices) {
  cost::RunShape tried = run;
  tried.devices = devices;
  DevicesNeeded out;
  const bool fits = any_layout(devices, run.devices_per_node, static_cast<int>(run.model.layers), [&](const Layout& layout) {
    tried.layout = layout;
    if (!cost::contradictions(tried).empty()) return false;
    out = {devices, layout, cost::judge_fit(tried, calibration, device_memory)};
    return out.fit.fits;
  });
  return fits ? std::optional(out) : std::nullopt;
}

double least_devices(const cost::RunShape& run, const cost::Calibration& calibration, double device_memory) {
  const cost::ParameterKey key = cost::parameter_key(run);
  const double gradients = calibration("memory.gradients", key) + (run.fp32_gradients ? calibration("memory.fp32_gradients", key) : 0);
  const double states = calibration("memory.weights", key) + gradients + calibration("memory.optimizer", key);
  const double available = calibration("fit.usable_share", key) * device_memory;
  return std::max(1.0, std::ceil(states * static_cast<double>(model::count_params(run.model).total.value) / available));
}

std::optional<DevicesNeeded> devices_needed(const cost::RunShape& run, const cost::Calibration& calibration, double device_memory) {
  const int node = run.devices_per_node;
  const double least = least_devices(run, calibration, device_memory);
  for (int devices = 1, before = 0; devices <= kMostDevices; before = devices, devices = doubled(devices, node)) {
    if (devices < least) continue;
    auto enough = fits_on(run, calibration, device_memory, devices);
    if (!enough) continue;
    const int step = devices <= node ? 1 : node;
    for (int fewer = before + step; fewer < devices; fewer += step) {
      if (fewer < least) continue;
      if (auto found = fits_on(run, calibration, device_memory, fewer)) return found;
    }
    return enough;
  }
  return std::nullopt;
}

}  // namespace longhaul::plan
