// config/derive.h — values that follow from others when a run file leaves them out. Pure functions.
#pragma once

#include <cstdint>

namespace longhaul::config {

/// W = max(⌈0.03·S⌉, min(1000, ⌈0.1·S⌉)) for S steps (accounting A7).
std::int64_t default_warmup_steps(std::int64_t steps);
/// V = min(8, the largest power of two dividing the micro-batches of a step) (docs/numerics.md).
std::int64_t default_virtual_ranks(std::int64_t micro_batches);
/// Optimizer steps that process at least this many tokens.
std::int64_t steps_for(std::int64_t tokens, std::int64_t tokens_per_step);

}  // namespace longhaul::config
