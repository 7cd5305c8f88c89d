#include "audit/tensor_difference.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "checkpoint/registry.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/state_hash.h"
#include "units/error.h"

namespace longhaul::audit {
namespace {

namespace fs = std::filesystem;

/// Place of the first byte that differs; nothing where there is none.
std::optional<std::size_t> first_byte(std::span<const std::byte> a, std::span<const std::byte> b) {
  if (a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0)) return std::nullopt;
  return static_cast<std::size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
}

}  // namespace

std::optional<TensorDifference> first_difference(const checkpoint::Commit& a, const checkpoint::Commit& b) {
  for (const std::string_view group : {checkpoint::kWeights, checkpoint::kMoment1, checkpoint::kMoment2, checkpoint::kAverage}) {
    const fs::path name = std::string(group) + ".safetensors";
    if (!fs::exists(a.directory / name) && !fs::exists(b.directory / name)) continue;
    const checkpoint::SafetensorsFile of_a(a.directory / name), of_b(b.directory / name);
    for (const checkpoint::TensorInfo& tensor : of_a.tensors()) {
      const checkpoint::TensorInfo* other = of_b.find(tensor.name);
      if (!other) throw CheckpointError(fmt::format("{} has no tensor {}, which {} has", b.directory.string(), tensor.name, a.name()));
      const std::optional<std::size_t> byte = first_byte(of_a.bytes(tensor), of_b.bytes(*other));
      if (!byte) continue;
      const auto element = static_cast<std::int64_t>(*byte / sizeof(float));
      return TensorDifference{std::string(group), tensor.name, element / checkpoint::kHashBlockElements, element};
    }
  }
  return std::nullopt;
}

}  // namespace longhaul::audit
