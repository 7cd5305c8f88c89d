// config/derive.h — values that follow from others when a run file leaves them out. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "config/parallel.h"

namespace longhaul::config {

/// W = max(⌈0.03·S⌉, min(1000, ⌈0.1·S⌉)) for S steps (accounting A7).
std::int64_t default_warmup_steps(std::int64_t steps);
/// V = min(8, the largest power of two dividing the micro-batches of a step) (docs/numerics.md).
std::int64_t default_virtual_ranks(std::int64_t micro_batches);
/// Tokens of a sequence for a model meant for contexts of up to `position_rows` (0: not said).
std::int64_t default_sequence_length(std::int64_t position_rows);
/// Several chunks of layers a rank need the interleaved schedule.
PipelineSchedule default_pipeline_schedule(std::int64_t chunks);
/// Why these sizes are more than kMostRanks together; nothing where they are not.
std::optional<std::string> too_many_ranks(const ParallelTable& parallel);
/// Optimizer steps that process at least this many tokens.
std::int64_t steps_for(std::int64_t tokens, std::int64_t tokens_per_step);

/// How the learning rate follows when the batch grows (accounting A6).
enum class BatchRule : std::uint8_t {
  square_root,  ///< √k·η: Adam's update keeps its noise per step (Krizhevsky 2014; Malladi et al. 2022)
  linear        ///< k·η: for SGD and k up to about 8 (Goyal et al. 2017)
};
/// The rate for a batch k times as large.
double learning_rate_for_batch(double learning_rate, double k, BatchRule rule = BatchRule::square_root);

}  // namespace longhaul::config
