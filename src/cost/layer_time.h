// cost/layer_time.h — the time of a layer, of the embedding and of the head on one rank, from their work and its prices.
//
// A pass lasts a smooth maximum of two things: the device's work, and the host's launches of it (Python and driver take a time per
// operation, whatever its size). Then come collectives that the launches do not hide, recomputation, and under FSDP the gathers and
// scatters of parameters, which run beside the work and slow it down a little.
#pragma once

#include "cost/prices.h"
#include "cost/stages.h"

namespace longhaul::cost {

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

/// The mean layer of a stage. @param slow_launches launches contend with messages between nodes (cost/stall.h)
LayerTime layer_time(const RunShape& run, const Prices& prices, const StageParameters& parameters, bool slow_launches);

EndTime embedding_time(const RunShape& run, const Prices& prices);
EndTime head_time(const RunShape& run, const Prices& prices, const StageParameters& parameters);

/// Whether parameters are gathered layer by layer.
bool shards_by_layer(const RunShape& run);

}  // namespace longhaul::cost
