// cost/step.h — the time of one optimizer step: prices the work of every stage and plays the pipeline made of it.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cost/calibration.h"
#include "cost/layer_time.h"
#include "cost/pipeline.h"
#include "cost/run_shape.h"
#include "cost/stages.h"
#include "cost/work.h"

namespace longhaul::cost {

struct StepEstimate {
  double seconds = 0;
  /// Parts that add up to `seconds`, of the pipeline rank that is busiest. `bubble`: it waits for others; `other`: waiting for the slowest
  /// of all devices, tied embeddings, the loop itself.
  double compute = 0, tensor_parallel = 0, context_parallel = 0, expert_parallel = 0, pipeline_transfers = 0, bubble = 0;
  double data_parallel = 0, optimizer = 0, other = 0;
  LayerTime layer;
  EndTime embedding, head;
  int busiest = 0;                ///< pipeline rank whose parts the above are
  double pipeline = 0;            ///< from the first turn to the last; after it data parallelism that nothing hides, optimizer and the rest
  double exchange = 0;            ///< seconds that every turn waits for its paired messages
  double messages = 0;            ///< part of pipeline_transfers beside the turns: both ends of a message are taken
  double exchange_after = 0;      ///< part of data_parallel after the pipeline has drained
  bool stalled = false;           ///< the framework is expected to stall on messages between stages, or on launches; `warnings` says why
  bool calibrated = true;         ///< measured rows exist for this accelerator and framework
  std::vector<StageCost> stages;  ///< one for each virtual stage
  std::vector<std::string> warnings;
};

/// The parts of a step by name, in the order of the struct; they add up to `seconds`.
inline constexpr std::array<std::pair<std::string_view, double StepEstimate::*>, 9> kStepParts{{
    {"compute", &StepEstimate::compute},
    {"tensor_parallel", &StepEstimate::tensor_parallel},
    {"context_parallel", &StepEstimate::context_parallel},
    {"expert_parallel", &StepEstimate::expert_parallel},
    {"pipeline_transfers", &StepEstimate::pipeline_transfers},
    {"bubble", &StepEstimate::bubble},
    {"data_parallel", &StepEstimate::data_parallel},
    {"optimizer", &StepEstimate::optimizer},
    {"other", &StepEstimate::other},
}};

/// Throws UsageError for an accelerator that the catalogue lacks and a schedule that cannot be made.
StepEstimate estimate_step(const RunShape& run, const Calibration& calibration);
/// The same with the least time that the pipeline can take instead of the time that it takes (bound_pipeline): `seconds` is never above
/// estimate_step()'s. Faster to compute; of the parts, bubble, transfers and other may differ.
StepEstimate bound_step(const RunShape& run, const Calibration& calibration);

}  // namespace longhaul::cost
