// cost/traffic.h — bytes that one rank sends in a step, by who they are for (accounting C9); a receiver gets as many.
//
// Counted from the same work items that cost/step.h prices, whether or not the time for them is hidden. Collectives go round a ring: half
// an all-reduce sends (N − 1)/N of the tensor (Patarasuk & Yuan 2009).
#pragma once

#include "cost/run_shape.h"
#include "cost/stages.h"

namespace longhaul::cost {

/// Bytes a step, of the pipeline rank that sends most of each.
struct StepTraffic {
  double tensor = 0;    ///< inside tensor-parallel groups: two all-reduces a layer and pass, or their halves with sequence parallelism
  double context = 0;   ///< keys and values round the context-parallel ring
  double expert = 0;    ///< tokens to their experts and back
  double pipeline = 0;  ///< activations to the next stage, gradients to the one before
  double data = 0;      ///< gradients and parameters among data-parallel ranks, by ZeRO stage
  double total() const { return tensor + context + expert + pipeline + data; }
};

StepTraffic step_traffic(const RunShape& run);

/// Its `data` of a rank that holds so much: dense parameters and divided experts each among the ranks that hold the same.
double data_bytes(const RunShape& run, const HeldParameters& held);

}  // namespace longhaul::cost
