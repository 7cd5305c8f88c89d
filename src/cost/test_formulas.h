// cost/test_formulas.h — closed forms of the literature that the tests compare the planner's own counts with (accounting B, C, D).
//
// The planner counts programs and plays schedules; nothing but tests reads these.
#pragma once

#include <cmath>
#include <cstdint>

#include "cost/formulas.h"
#include "units/units.h"

namespace longhaul::cost {

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

/// Activations of a layer, 16 bits, as in Korthikanti et al. 2022 table 2.
enum class ActivationCase : std::uint8_t { no_parallelism, tensor, tensor_sequence, tensor_selective, tensor_sequence_selective, full };
struct LayerShape {
  double sequence = 0, micro_batch = 0, hidden = 0, heads = 0;
};
/// B3: bytes of one layer on one rank of a tensor-parallel group of `t`; MLP of 4·hidden, dropout as in the paper.
inline double korthikanti_bytes(ActivationCase which, const LayerShape& shape, int t) {
  const double sbh = shape.sequence * shape.micro_batch * shape.hidden, scores = 5 * shape.heads * shape.sequence / shape.hidden;
  switch (which) {
    case ActivationCase::no_parallelism:
      return sbh * (34 + scores);
    case ActivationCase::tensor:
      return sbh * (10 + 24.0 / t + scores / t);
    case ActivationCase::tensor_sequence:
      return sbh / t * (34 + scores);
    case ActivationCase::tensor_selective:
      return sbh * (10 + 24.0 / t);
    case ActivationCase::tensor_sequence_selective:
      return 34 * sbh / t;
    case ActivationCase::full:
      return 2 * sbh;
  }
  return 0;
}

/// B4: layers stored when √L segments are checkpointed, and that store in bytes. While a segment runs again its own layers live too.
struct Checkpointed {
  double stored_layers = 0;
  double boundary_bytes = 0, segment_bytes = 0;
};
inline Checkpointed sqrt_checkpointing(int layers, double bytes_per_layer) {
  const double root = std::sqrt(static_cast<double>(layers));
  return {root, root * bytes_per_layer, layers / root * bytes_per_layer};
}

/// B5: fp32 logits of a micro-batch on one rank of a vocabulary-parallel group.
inline Bytes logits_bytes(std::int64_t tokens, std::int64_t vocab, int tp) { return Bytes(tokens * ((vocab + tp - 1) / tp) * 4); }

/// B6: activations of the first rank, relative to 1F1B, with v chunks a rank (Korthikanti et al. 2022 appendix C).
inline double interleaved_activation_factor(int stages, int chunks) { return 1 + (stages - 1.0) / (static_cast<double>(stages) * chunks); }

/// A link as a line: seconds = latency + bytes ÷ bandwidth.
struct Link {
  double latency = 0;    ///< seconds
  double bandwidth = 0;  ///< bytes per second, one direction
};
/// C4, simple form: α·log₂N + S/B.
inline Seconds all_reduce_simple(Bytes payload, int ranks, const Link& link) {
  if (ranks < 2) return Seconds(0);
  return Seconds(link.latency * std::log2(ranks) + static_cast<double>(payload.value) / link.bandwidth);
}
/// C5, ring: (N−1)/N·S/B + (N−1)·α. `payload` is the whole tensor in each.
inline Seconds reduce_scatter_ring(Bytes payload, int ranks, const Link& link) {
  return Seconds(ring_bytes(static_cast<double>(payload.value), ranks) / link.bandwidth + (ranks - 1.0) * link.latency);
}
inline Seconds all_gather_ring(Bytes payload, int ranks, const Link& link) { return reduce_scatter_ring(payload, ranks, link); }
/// C4, ring (Patarasuk & Yuan 2009): its two halves.
inline Seconds all_reduce_ring(Bytes payload, int ranks, const Link& link) {
  return reduce_scatter_ring(payload, ranks, link) + all_gather_ring(payload, ranks, link);
}
/// C4, double binary tree (Sanders et al. 2009): 2·S/B + 2·log₂N·α, pipelined.
inline Seconds all_reduce_tree(Bytes payload, int ranks, const Link& link) {
  if (ranks < 2) return Seconds(0);
  return Seconds(2 * static_cast<double>(payload.value) / link.bandwidth + 2 * std::ceil(std::log2(ranks)) * link.latency);
}
/// C4 and C7, two tiers: reduce-scatter inside a node, all-reduce of the pieces across nodes, all-gather inside.
inline Seconds all_reduce_hierarchical(Bytes payload, int ranks_inside, int nodes, const Link& inside, const Link& across) {
  return all_reduce_ring(payload, ranks_inside, inside) + all_reduce_ring(Bytes(payload.value / ranks_inside), nodes, across);
}

/// D2: model FLOPs utilisation from a whole run.
inline double run_mfu(Flops work, Seconds time, double devices, double peak_flops_per_second) {
  return flops_rate(work, time) / (devices * peak_flops_per_second);
}
/// D8.
inline Seconds device_time(Flops work, double achieved_flops_per_second) { return Seconds(work.value / achieved_flops_per_second); }

}  // namespace longhaul::cost
