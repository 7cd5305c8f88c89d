// plan/devices_needed.h — the smallest number of devices that holds a run (accounting D9): by the memory model, layout by layout.
//
// There is no shortcut. The circulating one, "batch · seq · params · 0.5 GB" of activations, says 28,672 GB for 7 B parameters at 4 ×
// 2,048.
#pragma once

#include <optional>

#include "cost/memory.h"

namespace longhaul::plan {

struct DevicesNeeded {
  int devices = 0;
  program::Layout layout;  ///< the first that fits: least recomputation, then least pipeline, tensor parallelism, ZeRO
  cost::FitVerdict fit;
};

/// Tries 1, 2, 4 … devices of a node, a node, 2, 4 … nodes until a layout fits, then the counts between that and the one before: every one
/// inside a node, else whole nodes. Layouts: every pipeline, tensor parallelism inside a node by powers of two, ZeRO stage and
/// recomputation that the model and the batch allow; micro-batch, sequence and global batch stay.
/// @param device_memory bytes, as the maker states them
/// @return nothing where no layout fits up to 65,536 devices
std::optional<DevicesNeeded> devices_needed(const cost::RunShape& run, const cost::Calibration& calibration, double device_memory);

/// Devices for weights, gradients and optimizer alone, were all of them sharded over all devices: no layout fits on fewer.
double least_devices(const cost::RunShape& run, const cost::Calibration& calibration, double device_memory);

/// The layout on so many devices that fits, in the same order; nothing where none does.
std::optional<DevicesNeeded> fits_on(const cost::RunShape& run, const cost::Calibration& calibration, double device_memory, int devices);

}  // namespace longhaul::plan
