// cost/formulas.h — the closed forms of accounting B, C, D and F: small functions with units, each with its source.
//
// The planner itself goes by simulation (cost/pipeline.h, program lifetimes); these forms explain its lines and bound its search. Those
// that nothing but tests compares with are in cost/test_formulas.h. Every one states per what it counts: per parameter, per token, per
// rank, per step or per run.
#pragma once

#include <cstdint>

#include "units/units.h"

namespace longhaul::cost {

// ---- B: memory -------------------------------------------------------------------------------------------------------------

struct ShardedStates {
  double weights = 0, gradients = 0, optimizer = 0;  ///< bytes of one rank
  double total() const { return weights + gradients + optimizer; }
};
/// B2: bytes of one rank under ZeRO stage 0–3 over `shards` ranks. Linear in its inputs, so any unit may be put in.
ShardedStates zero_states(double weights, double gradients, double optimizer, int stage, int shards);

/// B6: micro-batches that pipeline rank `stage` of `stages` keeps at once under 1F1B.
int in_flight_1f1b(int stage, int stages, int micro_batches);
/// The same of an interleaved schedule, in chunks of a micro-batch: its warm-up 2(p − i − 1) + (v − 1)p and one (Narayanan et al. 2021
/// §2.2.2).
int in_flight_interleaved(int stage, int stages, int micro_batches, int chunks);

// ---- C: parallelism and communication ------------------------------------------------------------------------------------------

/// C3: idle share of the step for uniform stages.
double bubble_1f1b(int stages, int micro_batches);
double bubble_interleaved(int stages, int micro_batches, int chunks);
double bubble_zb_h1(int stages, int micro_batches);  ///< forward = input gradient = weight gradient, micro_batches ≥ stages

/// C9: bytes that a rank sends in half of it, a reduce-scatter or an all-gather of `payload` bytes: (N−1)/N·S. An all-reduce sends twice
/// that.
double ring_bytes(double payload, int ranks);

/// C8: expected maximum of n standard normals, integrated numerically; T_step = mean + σ · this.
double expected_normal_maximum(int n);

// ---- D: compute and money --------------------------------------------------------------------------------------------------

/// D8.
double dollars(Seconds device_time, double dollars_per_device_hour);
double kilowatt_hours(Seconds device_time, double watts_of_device);

// ---- E: data ----------------------------------------------------------------------------------------------------------------

/// E1: times that a run of `budget` tokens reads each of `unique`.
double epochs(Tokens budget, Tokens unique);
/// Up to so many a repeated token teaches nearly as much as a new one (Muennighoff et al. 2023).
inline constexpr double kManyEpochs = 4;

// ---- F: operations ---------------------------------------------------------------------------------------------------------

/// F1: share of the time that goes to saves when one of `save` seconds follows each `every` steps.
double checkpoint_overhead(Seconds step, Seconds save, double every_steps);
/// F2: interval between saves; Young 1974, Daly 2006 (eq. 37). `mtbf`: mean time between failures of the whole job.
Seconds young_interval(Seconds save, Seconds mtbf);
Seconds daly_interval(Seconds save, Seconds mtbf);
/// F3: where the wall time of a run with failures goes, shares that add up to 1, by the expectation behind Daly 2006 eq. 20.
struct Goodput {
  double useful = 0, saving = 0, lost = 0, restarting = 0;
};
Goodput expected_goodput(Seconds interval, Seconds save, Seconds restart, Seconds mtbf);

}  // namespace longhaul::cost
