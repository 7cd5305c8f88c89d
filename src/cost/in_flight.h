// cost/in_flight.h — micro-batches in flight on every pipeline rank while a step is played, and the memory they take.
#pragma once

#include <vector>

#include "cost/memory.h"
#include "cost/pipeline.h"

namespace longhaul::cost {

/// A rank begins a forward turn or ends the turn that makes its weight gradients.
struct InFlight {
  int rank = 0;
  double at = 0;             ///< seconds from the first turn
  double micro_batches = 0;  ///< in flight from now on; a chunk of an interleaved schedule is its share of one
  double activations = 0;    ///< bytes of them
  double total = 0;          ///< bytes of the rank, with its other lines as at its peak (cost/memory.h)
};

/// Changes in the order of each rank's turns. @param time with its turns kept
std::vector<InFlight> in_flight_over_step(const program::Schedule& schedule, const MemoryEstimate& memory, const PipelineTime& time);

}  // namespace longhaul::cost
