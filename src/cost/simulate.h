// cost/simulate.h — plays the programs of all pipeline ranks on a clock: when each operation begins and ends, who waits, how long it all
// lasts.
//
// A rank takes its list from top to bottom, as the trainer does. A receive begins when its message is there and the rank is free; sends
// are buffered, so a sender goes on once it has handed its message over. A collective among pipeline ranks (tied embedding, global norm)
// begins when its last member has come to it; the members of any other collective are alike and come to it together. Each program stands
// for all ranks at its place in the pipeline (program/build.h). With stage costs put on its operations it gives what cost/pipeline.h gives.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "program/program.h"

namespace longhaul::cost {

struct OperationCosts {
  using Function = std::function<double(const program::Program&, const program::Operation&)>;
  /// Seconds that the operation takes of its rank. Of a message each end takes its own.
  Function seconds;
  /// Seconds from a send's begin until its receive can begin; empty: those of the send.
  Function flight;
};

struct OperationSpan {
  double begin = 0, end = 0;
};

/// Seconds of one rank. What is left of the total it waits.
struct RankTime {
  std::vector<OperationSpan> operations;  ///< in the order of the program
  double compute = 0;                     ///< in operations that are no transfers
  double transfers = 0;                   ///< in sends, receives and collectives, once begun
  double end = 0;                         ///< of its last operation
};

struct Simulation {
  std::vector<RankTime> ranks;
  double total = 0;
  /// Share of rank-seconds in which no rank computes (accounting C3).
  double bubble() const;
};

/// @param ranks  the programs of all pipeline ranks, in order (program::build_pipeline)
/// @throws std::logic_error when they cannot end; program::validate() says why
Simulation simulate(std::span<const program::Program> ranks, const OperationCosts& costs);

}  // namespace longhaul::cost
