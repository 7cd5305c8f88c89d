// cost/pipeline.h — plays a pipeline schedule on a clock: when each rank takes each turn, how long the step's pipeline lasts, who idles.
//
// A rank takes its turns in the schedule's order, each as soon as its input has arrived. Nothing is assumed uniform: every virtual stage
// has its own costs, every hop its own transfer time. For uniform stages without transfers the bubbles are those of accounting C3.
#pragma once

#include <span>
#include <vector>

#include "program/schedule.h"

namespace longhaul::cost {

/// Seconds of one micro-batch in one virtual stage.
struct StageCost {
  double forward = 0;
  double input_gradient = 0;  ///< of a backward that is not split: the whole of it counts as the sum of both
  double weight_gradient = 0;
  double send_forward = 0;   ///< from this virtual stage to the next, after the forward: latency + bytes ÷ bandwidth
  double send_backward = 0;  ///< to the one before
  /// Both ends of a message are taken for as long: the sender after its turn, while the message is on its way, the receiver before its own.
  double blocking_forward = 0, blocking_backward = 0;
  double backward() const { return input_gradient + weight_gradient; }
};

/// One turn as it was played.
struct PlayedTurn {
  int rank = 0;
  program::Turn turn;
  double begin = 0, end = 0;
};

struct PipelineTime {
  double total = 0;               ///< from the first turn's begin to the last turn's end
  std::vector<double> busy;       ///< seconds each rank computes, without messages
  std::vector<double> end;        ///< when each rank ends its last turn
  std::vector<PlayedTurn> turns;  ///< when asked for, in order of rank and turn
  /// Share of rank-seconds that no rank computes: 1 − Σ busy ÷ (ranks · total).
  double bubble() const;
};

/// @param costs one for each virtual stage, in the order of the model
/// @throws std::logic_error when the schedule cannot end (validate() says why)
PipelineTime play(const program::Schedule& schedule, std::span<const StageCost> costs, bool keep_turns = false);

/// The same for a schedule of make_schedule(), however many micro-batches: plays few, and once every rank repeats itself with one period
/// (each turn a constant time after its like, over a window longer than any dependency reaches back), adds the periods that are missing.
/// Exact but for rounding; plays in full where no period shows, and GPipe always. Keeps no turns.
PipelineTime play_periodic(program::ScheduleKind kind, int stages, int micro_batches, int chunks, std::span<const StageCost> costs);

/// What no order of these turns can beat, without playing them: for each rank, the shortest way of the first micro-batch to it, all its
/// work, the shortest way of the last gradient from it to the first stage. `busy` is exact, `total` at most play()'s. For uniform stages
/// under 1F1B the two are equal.
PipelineTime bound_pipeline(program::ScheduleKind kind, int stages, int micro_batches, int chunks, std::span<const StageCost> costs);

}  // namespace longhaul::cost
