// machine/measure_kernels.h — times single kernels at given shapes, called as the step calls them.
//
// Operands come from two regions larger than the caches, one read and one written, in which every repetition moves on: as in a step,
// weights, gradients and activations were last touched long ago. The operands' bits are random (clocks and power depend on them), those
// that a kernel would refuse, targets and masks, are real ones. A call shorter than 200 readings of the clock is repeated between two
// readings until they are less than 1 % of what they time (machine/quiet_clock.h). Nothing here knows models or steps.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cluster/kernel_rates.h"
#include "kernels/context.h"

namespace longhaul::machine {

/// Who follows a measurement.
struct Watch {
  std::function<void(const std::string&)> progress;  ///< told what is being measured now, for a progress line
  std::function<bool()> enough{};                    ///< asked between timings: true ends the measurement with what there is
};

/// A call small enough to be measured: above some tenths of a second on one core, its micro-batch is made smaller.
cluster::KernelCall measurable(const cluster::KernelCall& call);

/// Median of a few timings of each call after one that warms up. Calls that `watch.enough` cut off are left out.
cluster::KernelRates measure_kernels(const kernels::Context& context, const std::vector<cluster::KernelCall>& calls, const Watch& watch);
/// About what that takes for as many calls, the filling of the memory that they read included.
Seconds measuring_time(std::size_t calls);

/// The shapes that `calibrate` measures: enough for the trends of cluster/kernel_rates.h over models of 10⁶ to 10⁹ parameters.
std::vector<cluster::KernelCall> calibration_calls();

}  // namespace longhaul::machine
