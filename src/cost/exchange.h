// cost/exchange.h — what a step does once, after its micro-batches: gradients among data-parallel ranks, tied embeddings, the optimizer.
#pragma once

#include "cost/prices.h"
#include "cost/stages.h"

namespace longhaul::cost {

/// Seconds after the pipeline has drained. Divided experts are exchanged among their own copies (data_groups), after the dense parameters.
/// @param held by the pipeline rank  @param slowest seconds that its busiest micro-batch takes, forward and backward: without ZeRO
/// gradients are reduced beside the last backward pass
double data_parallel_seconds(const RunShape& run, const Prices& prices, const HeldParameters& held, double slowest);

/// First and last stage hold a copy of a tied embedding each and add their gradients up.
double tied_embedding_seconds(const RunShape& run, const Prices& prices, double embedding_parameters);

/// Seconds of the update of what a pipeline rank holds, its states divided among the ranks that share them.
double optimizer_seconds(const RunShape& run, const Prices& prices, const HeldParameters& held);

}  // namespace longhaul::cost
