// plan/step.h — the time of one optimizer step: prices the work of every stage and plays the pipeline made of it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "plan/calibration.h"
#include "plan/pipeline.h"
#include "plan/runs.h"
#include "plan/stages.h"
#include "plan/work.h"

namespace longhaul::plan {

/// Seconds of one layer of one micro-batch on one rank, by kind; what is exposed adds up to forward + backward.
struct LayerTime {
  double gemm = 0, attention = 0, bytes = 0, collectives = 0;
  double device = 0;  ///< all of it, were the device never to wait for its host
  double launch = 0;  ///< the least that the host's launches take
  double forward = 0, backward = 0;  ///< as they are: a smooth maximum of both
  /// Above 1 the device sets the pace, below 1 the host's launches do.
  double launch_ratio() const { return launch > 0 ? device / launch : 1e9; }
};

struct StepEstimate {
  double seconds = 0;
  /// Parts that add up to `seconds` (critical rank).
  double compute = 0, tensor_parallel = 0, pipeline_transfers = 0, bubble = 0, data_parallel = 0, optimizer = 0, other = 0;
  LayerTime layer;
  double head_seconds = 0;
  bool stalled = false;  ///< the framework is expected to stall on point-to-point messages; `warnings` says why
  bool calibrated = true;  ///< measured rows exist for this accelerator and framework
  std::vector<StageCost> stages;
  std::vector<std::string> warnings;
};

StepEstimate estimate_step(const RunShape& run, const Calibration& calibration);

/// The key under which this run's parameters are looked up: link is "node" on one node, else the network tier, or "network".
ParameterKey parameter_key(const RunShape& run);

}  // namespace longhaul::plan
