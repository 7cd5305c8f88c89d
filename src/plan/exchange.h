// plan/exchange.h — what a step does once, after its micro-batches: gradients among data-parallel ranks, tied embeddings, the optimizer.
#pragma once

#include "plan/prices.h"
#include "plan/stages.h"

namespace longhaul::plan {

/// Seconds after the pipeline has drained. @param parameters of the fullest pipeline rank; @param slowest seconds that its busiest
/// micro-batch takes, forward and backward: without ZeRO gradients are reduced beside the last backward pass.
double data_parallel_seconds(const RunShape& run, const Prices& prices, double parameters, double slowest);

/// First and last stage hold a copy of a tied embedding each and add their gradients up.
double tied_embedding_seconds(const RunShape& run, const Prices& prices, double embedding_parameters);

double optimizer_seconds(const RunShape& run, const Prices& prices, double parameters);

}  // namespace longhaul::plan
