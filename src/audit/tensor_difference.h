// audit/tensor_difference.h — where two checkpoints differ: the first tensor, in the order of the state hash, and its first block.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "checkpoint/commit.h"

namespace longhaul::audit {

struct TensorDifference {
  std::string group, tensor;  ///< "weights", Hugging Face's name
  std::int64_t block = 0;     ///< of 65,536 elements
  std::int64_t element = 0;   ///< the first one that differs, counted in the tensor
};

/// Of two verified checkpoints of the same model; nothing where all tensors of both are equal. @throws CheckpointError when one lacks a
/// tensor of the other
std::optional<TensorDifference> first_difference(const checkpoint::Commit& a, const checkpoint::Commit& b);

}  // namespace longhaul::audit
