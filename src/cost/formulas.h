// cost/formulas.h — the closed forms of accounting B, C, D and F: small functions with units, each with its source.
//
// The planner itself goes by simulation (cost/pipeline.h, program lifetimes); these forms explain its lines, bound its search and test it.
// Every one states per what it counts: per parameter, per token, per rank, per step or per run.
#pragma once

#include <cstdint>

#include "units/units.h"

namespace longhaul::cost {

// ---- B: memory -------------------------------------------------------------------------------------------------------------

/// Bytes of model states per parameter by part (accounting B1; Rajbhandari et al. 2020 §3).
struct StateBytes {
  double weights = 2, gradients = 2, master = 4, moments = 8;
  double optimizer() const { return master + moments; }
  double total() const { return weights + gradients + optimizer(); }
};
/// bf16 weights and gradients, fp32 moments, no master copy: the least that is in use, 12 bytes.
inline constexpr StateBytes kStatesWithoutMaster{2, 2, 0, 8};
/// bf16 weights, fp32 accumulation, fp32 master and moments: Megatron-LM, 18 bytes.
inline constexpr StateBytes kStatesMegatron{2, 4, 4, 8};

struct ShardedStates {
  double weights = 0, gradients = 0, optimizer = 0;  ///< bytes of one rank
  double total() const { return weights + gradients + optimizer; }
};
/// B2: bytes of one rank under ZeRO stage 0–3 over `shards` ranks. Linear in its inputs, so any unit may be put in.
ShardedStates zero_states(double weights, double gradients, double optimizer, int stage, int shards);

/// Activations of a layer, 16 bits, as in Korthikanti et al. 2022 table 2.
enum class ActivationCase : std::uint8_t { no_parallelism, tensor, tensor_sequence, tensor_selective, tensor_sequence_selective, full };
struct LayerShape {
  double sequence = 0, micro_batch = 0, hidden = 0, heads = 0;
};
/// B3: bytes of one layer on one rank of a tensor-parallel group of `t`; MLP of 4·hidden, dropout as in the paper.
double korthikanti_bytes(ActivationCase which, const LayerShape& shape, int t);

/// B4: layers stored when √L segments are checkpointed, and that store in bytes. While a segment runs again its own layers live too.
struct Checkpointed {
  double stored_layers = 0;
  double boundary_bytes = 0, segment_bytes = 0;
};
Checkpointed sqrt_checkpointing(int layers, double bytes_per_layer);

/// B5: fp32 logits of a micro-batch on one rank of a vocabulary-parallel group.
Bytes logits_bytes(std::int64_t tokens, std::int64_t vocab, int tp);

/// B6: micro-batches that pipeline rank `stage` of `stages` keeps at once under 1F1B.
int in_flight_1f1b(int stage, int stages, int micro_batches);
/// The same of an interleaved schedule, in chunks of a micro-batch: its warm-up 2(p − i − 1) + (v − 1)p and one (Narayanan et al. 2021
/// §2.2.2).
int in_flight_interleaved(int stage, int stages, int micro_batches, int chunks);
/// B6: activations of the first rank, relative to 1F1B, with v chunks a rank (Korthikanti et al. 2022 appendix C).
double interleaved_activation_factor(int stages, int chunks);

// ---- C: parallelism and communication ------------------------------------------------------------------------------------------

/// C3: idle share of the step for uniform stages.
double bubble_1f1b(int stages, int micro_batches);
double bubble_interleaved(int stages, int micro_batches, int chunks);
double bubble_zb_h1(int stages, int micro_batches);  ///< forward = input gradient = weight gradient, micro_batches ≥ stages

/// A link as a line: seconds = latency + bytes ÷ bandwidth.
struct Link {
  double latency = 0;    ///< seconds
  double bandwidth = 0;  ///< bytes per second, one direction
};
/// C4, simple form: α·log₂N + S/B.
Seconds all_reduce_simple(Bytes payload, int ranks, const Link& link);
/// C4, ring (Patarasuk & Yuan 2009): 2(N−1)/N·S/B + 2(N−1)·α; its halves C5. `payload` is the whole tensor in each.
Seconds all_reduce_ring(Bytes payload, int ranks, const Link& link);
Seconds reduce_scatter_ring(Bytes payload, int ranks, const Link& link);
Seconds all_gather_ring(Bytes payload, int ranks, const Link& link);
/// C9: bytes that a rank sends in half of it, a reduce-scatter or an all-gather of `payload` bytes: (N−1)/N·S. An all-reduce sends twice
/// that.
double ring_bytes(double payload, int ranks);
/// C4, double binary tree (Sanders et al. 2009): 2·S/B + 2·log₂N·α, pipelined.
Seconds all_reduce_tree(Bytes payload, int ranks, const Link& link);
/// C4 and C7, two tiers: reduce-scatter inside a node, all-reduce of the pieces across nodes, all-gather inside.
Seconds all_reduce_hierarchical(Bytes payload, int ranks_inside, int nodes, const Link& inside, const Link& across);

/// C8: expected maximum of n standard normals, integrated numerically; T_step = mean + σ · this.
double expected_normal_maximum(int n);

// ---- D: compute and money --------------------------------------------------------------------------------------------------

/// D2: model FLOPs utilisation from a whole run.
double run_mfu(Flops work, Seconds time, double devices, double peak_flops_per_second);
/// D8.
Seconds device_time(Flops work, double achieved_flops_per_second);
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
