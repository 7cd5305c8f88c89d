// cost/memory.h — the peak memory of every pipeline stage of a step, line by line, and whether the run fits.
//
// One form for all frameworks (accounting B): model states by ZeRO stage; activations of the micro-batches in flight, counted from the
// layer's shapes; logits; copies that the framework makes; what the runtime takes. How much of each a framework really keeps is a handful
// of parameters of the calibration ("memory.…", examples/calibration), with physical values for frameworks never measured.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cost/calibration.h"
#include "cost/run_shape.h"
#include "cost/stages.h"
#include "units/units.h"

namespace longhaul::cost {

/// What the framework's execution does to memory: from the time model (cost/step.h). Gathered inputs of micro-batches in flight stay
/// allocated while the host runs ahead of the device; where the host's launches, or stalls, set the pace they are reused at once.
struct Pace {
  double launch_ratio = 1e9;  ///< device ÷ host launches of a layer
  bool stalled = false;
};

/// Bytes of one rank of a stage at its peak, by line (accounting B); they add up to `total`.
struct StageMemory {
  double weights = 0, gradients = 0, optimizer = 0, activations = 0, gathered = 0, logits = 0, workspace = 0, framework = 0,
         fragmentation = 0;
  int in_flight = 0;  ///< micro-batches whose activations live at the peak (chunks of them in an interleaved schedule)
  double total() const { return weights + gradients + optimizer + activations + gathered + logits + workspace + framework + fragmentation; }
  /// What must be there at once: the allocator gives cached blocks back before it fails.
  double needed() const { return total() - fragmentation; }
};

/// The lines by name, in the order of the struct; they add up to total().
inline constexpr std::array<std::pair<std::string_view, double StageMemory::*>, 9> kMemoryParts{{
    {"weights", &StageMemory::weights},
    {"gradients", &StageMemory::gradients},
    {"optimizer", &StageMemory::optimizer},
    {"activations", &StageMemory::activations},
    {"gathered", &StageMemory::gathered},
    {"logits", &StageMemory::logits},
    {"workspace", &StageMemory::workspace},
    {"framework", &StageMemory::framework},
    {"fragmentation", &StageMemory::fragmentation},
}};

struct MemoryEstimate {
  std::vector<StageMemory> stages;  ///< one for each pipeline rank
  int fullest = 0;
  int reporting = 0;  ///< whose peak the framework reports as the run's: the first or the fullest
  double peak() const { return stages[static_cast<std::size_t>(fullest)].total(); }
  /// The figure to set beside a measured one, and the one whose errors are known (evidence/interval.h).
  double reported() const { return stages[static_cast<std::size_t>(reporting)].total(); }
};

MemoryEstimate estimate_memory(const RunShape& run, const Calibration& calibration, const Pace& pace);

struct FitVerdict {
  bool fits = false;
  double needed = 0, available = 0;  ///< bytes of the fullest rank, without what the allocator can take back; usable of the device
  std::string reason;                ///< the rule of the framework that is broken, or the stage and line that bind
};
/// @param device_memory bytes, as the maker states them (80 GB = 80e9)
FitVerdict judge_fit(const RunShape& run, const Calibration& calibration, double device_memory);

/// Bytes that autograd keeps of one layer for one token of one rank, in 16 bits: norm inputs 4h and the inputs of the two column-parallel
/// products 4h, whole without sequence parallelism; q, k, v (of at least one key/value head a rank) and attention's output; gate, up and
/// their product (6·ffn; 4·ffn of a plain MLP); dropout masks of GPT-like models (2h); without flash attention 5·heads·s of scores
/// (Korthikanti et al. 2022 eq. 2: 34h + 5as).
struct LayerActivations {
  double hidden = 0, ffn = 0, scores = 0;
};
LayerActivations kept_activations(const RunShape& run);

}  // namespace longhaul::cost
