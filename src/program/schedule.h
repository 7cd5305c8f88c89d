// program/schedule.h — pipeline schedules as data: for each rank the order in which it takes micro-batches, one validator for all.
//
// A schedule says nothing about time: a rank starts its next turn when what the turn needs has arrived. The planner puts costs on it, the
// trainer the real work.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "program/layout.h"

namespace longhaul::program {

enum class TurnKind : std::uint8_t {
  forward,
  backward,         ///< gradients of inputs and weights
  input_gradient,   ///< of a split backward: what the stage before waits for
  weight_gradient,  ///< of a split backward: what nobody waits for
};

struct Turn {
  TurnKind kind{};
  std::int32_t micro_batch = 0;
  std::int32_t chunk = 0;  ///< of this rank: virtual stage = chunk · stages + rank
  bool operator==(const Turn&) const = default;
};

struct Schedule {
  ScheduleKind kind{};
  int stages = 1;  ///< pipeline ranks
  int micro_batches = 1;
  int chunks = 1;
  std::vector<std::vector<Turn>> ranks;

  bool split_backward() const { return kind == ScheduleKind::zb_h1 || kind == ScheduleKind::zb_h2; }
  int virtual_stages() const { return stages * chunks; }
  int virtual_stage(int rank, int chunk) const { return chunk * stages + rank; }
};

/// Throws UsageError when the kind cannot be made: interleaved needs micro_batches to be a multiple of stages and at least two chunks,
/// the others one chunk.
Schedule make_schedule(ScheduleKind kind, int stages, int micro_batches, int chunks = 1);

/// Checks every rule of a schedule: each (micro-batch, chunk) passes forward and backward once, in that order; the weight gradients of a
/// chunk come in rising micro-batch order (numerics contract); played by all ranks at once it ends (no deadlock).
/// @return sentences naming rank and turn; empty when the schedule is valid
std::vector<std::string> validate(const Schedule& schedule);

/// Largest number of micro-batches a rank holds activations of at once, in units of one chunk (accounting B6). Activations live from
/// the forward turn to the end of the weight gradient.
int peak_in_flight(const Schedule& schedule, int rank);

}  // namespace longhaul::program
