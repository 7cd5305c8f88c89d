// plan/memory.h — the peak memory of every pipeline stage of a step, line by line, and whether the run fits.
#pragma once

#include <string>
#include <vector>

#include "plan/calibration.h"
#include "plan/runs.h"
#include "plan/stages.h"
#include "units/units.h"

namespace longhaul::plan {

/// What the framework's execution does to memory: from the time model (plan/step.h).
struct Pace {
  double launch_ratio = 1e9;  ///< device ÷ host launches of a layer
  bool stalled = false;
};

/// Bytes of one rank of a stage at its peak, by line (accounting B); they add up to `total`.
struct StageMemory {
  double weights = 0, gradients = 0, optimizer = 0, activations = 0, gathered = 0, logits = 0, workspace = 0, framework = 0, fragmentation = 0;
  int in_flight = 0;  ///< micro-batches whose activations live at the peak
  double total() const {
    return weights + gradients + optimizer + activations + gathered + logits + workspace + framework + fragmentation;
  }
};

struct MemoryEstimate {
  std::vector<StageMemory> stages;  ///< one for each pipeline rank
  int fullest = 0;
  double peak() const { return stages[static_cast<std::size_t>(fullest)].total(); }
};

MemoryEstimate estimate_memory(const RunShape& run, const Calibration& calibration, const Pace& pace);

struct FitVerdict {
  bool fits = false;
  double needed = 0, available = 0;  ///< bytes of the fullest rank, without what the allocator can take back; usable of the device
  std::string reason;                ///< the binding line, or the rule of the framework that is broken
};
FitVerdict judge_fit(const RunShape& run, const Calibration& calibration, const Pace& pace);

}  // namespace longhaul::plan
