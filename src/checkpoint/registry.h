// checkpoint/registry.h — the list of tensors that a checkpoint walks.
//
// The trainer's state registers every fp32 tensor that affects the next step, in ParamTable order inside each group. Saving, loading,
// hashing and verifying all walk this list, so a tensor can be missing in one place only, and a test that flips bits detects it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace longhaul::checkpoint {

/// Groups in the order of the state hash; each is one safetensors file. Other names ([a-z0-9_]) may follow these.
inline constexpr std::string_view kWeights = "weights";
inline constexpr std::string_view kMoment1 = "moment1";
inline constexpr std::string_view kMoment2 = "moment2";
inline constexpr std::string_view kAverage = "ema";

struct TensorEntry {
  std::string name;                 ///< unique inside its group; Hugging Face's name
  std::vector<std::int64_t> shape;  ///< row-major; the product is data.size()
  std::span<float> data;
  std::string group;
};

/// Groups of `tensors` in hash order: the four above, then the others by name. Absent groups are left out.
std::vector<std::string> groups_in_order(std::span<const TensorEntry> tensors);
/// Indices of `tensors` in hash order: group after group, inside a group as registered.
std::vector<std::size_t> hash_order(std::span<const TensorEntry> tensors);
/// Checks names, shapes and sizes. @throws std::invalid_argument on a programming mistake
void check_registry(std::span<const TensorEntry> tensors);
/// "[2, 3]".
std::string shape_text(std::span<const std::int64_t> shape);

}  // namespace longhaul::checkpoint
