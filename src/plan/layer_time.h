// plan/layer_time.h — the time of a layer, of the embedding and of the head on one rank, from their work and its prices.
//
// A pass lasts a smooth maximum of two things: the device's work, and the host's launches of it (Python and driver take a time per
// operation, whatever its size). Then come collectives that the launches do not hide, recomputation, and under FSDP the gathers and
// scatters of parameters, which run beside the work and slow it down a little.
#pragma once

#include "plan/prices.h"
#include "plan/stages.h"
#include "plan/step.h"

namespace longhaul::plan {

/// The mean layer of a stage. @param slow_launches launches contend with messages between nodes (plan/stall.h)
LayerTime layer_time(const RunShape& run, const Prices& prices, const StageParameters& parameters, bool slow_launches);

EndTime embedding_time(const RunShape& run, const Prices& prices);
EndTime head_time(const RunShape& run, const Prices& prices, const StageParameters& parameters);

/// Whether parameters are gathered layer by layer.
bool shards_by_layer(const RunShape& run);

}  // namespace longhaul::plan
