// plan/step.h — the time of one optimizer step: prices the work of every stage and plays the pipeline made of it.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plan/calibration.h"
#include "plan/pipeline.h"
#include "plan/runs.h"
#include "plan/stages.h"
#include "plan/work.h"

namespace longhaul::plan {

/// Seconds of collectives by the group that exchanges.
struct CollectiveSeconds {
  double tensor = 0, context = 0, expert = 0;
  double total() const { return tensor + context + expert; }
  CollectiveSeconds& operator+=(const CollectiveSeconds& more) {
    tensor += more.tensor, context += more.context, expert += more.expert;
    return *this;
  }
  friend CollectiveSeconds operator*(double factor, const CollectiveSeconds& of) {
    return {factor * of.tensor, factor * of.context, factor * of.expert};
  }
};

/// Seconds of one layer of one micro-batch on one rank. The first four are one forward and one backward pass were the device never to
/// wait, by kind; the last two are the passes as they are, with waiting, and in `backward` what is recomputed.
struct LayerTime {
  double gemm = 0, attention = 0, bytes = 0, collectives = 0;
  double device = 0;  ///< all of it, were the device never to wait for its host
  double launch = 0;  ///< the least that the host's launches take
  double forward = 0, backward = 0;
  double weight_gradient = 0;             ///< part of `backward` that no stage waits for
  double recomputed = 0;                  ///< part of `backward` that runs the forward pass again
  CollectiveSeconds exposed_collectives;  ///< in forward + backward
  double exposed_sharding = 0;            ///< parameters gathered and gradients scattered, in forward + backward
  double sharding_forward = 0;            ///< part of `exposed_sharding` in the forward pass
  /// Above 1 the device sets the pace, below 1 the host's launches do.
  double launch_ratio() const { return launch > 0 ? device / launch : 1e9; }
};

/// Passes of what stands at an end of the model: embedding or head.
struct EndTime {
  double forward = 0, backward = 0, weight_gradient = 0;
  double exposed_collectives = 0;  ///< of tensor parallelism
  double exposed_sharding = 0;
};

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

/// The key under which this run's parameters are looked up: link is "node" on one node, else the network tier, or "network".
ParameterKey parameter_key(const RunShape& run);

}  // namespace longhaul::plan
