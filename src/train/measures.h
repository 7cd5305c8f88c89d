// train/measures.h — what a step shows of its gradient besides the global norm: norms by tensor, the tensor behind an alarm, the gradient
// noise scale. Squares are those that the step's own operations take (train/executor.h); nothing here reads the gradient again.
#pragma once

#include <optional>
#include <vector>

#include "ledger/record.h"
#include "train/engine.h"
#include "train/state.h"

namespace longhaul::train {

/// Norms of all tensors after the step. @param updates  of Executor::update(); empty where the update was skipped
ledger::TensorNorms tensor_norms(const Engine& engine, const std::vector<double>& gradient_squares, const UpdateNorms& updates);

/// The tensor with the largest gradient, or the first whose gradient is not finite.
ledger::AlarmTensor alarm_tensor(const model::ParamTable& table, const std::vector<double>& gradient_squares);

/// Adds the step's estimate to the averages in `state`; nothing where there is none: one virtual rank alone, a norm that is not finite.
std::optional<ledger::NoiseScaleResult> measure_noise(const Executor& executor, std::int64_t global_batch, NoiseScale& state);

}  // namespace longhaul::train
