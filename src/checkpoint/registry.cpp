#include "checkpoint/registry.h"

#include <algorithm>
#include <array>
#include <set>
#include <stdexcept>
#include <utility>

namespace longhaul::checkpoint {
namespace {

constexpr std::array kKnownGroups = {kWeights, kMoment1, kMoment2, kAverage};

bool valid_group(std::string_view name) {
  const auto allowed = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; };
  return !name.empty() && name.size() <= 64 && std::ranges::all_of(name, allowed);
}

}  // namespace

std::vector<std::string> groups_in_order(std::span<const TensorEntry> tensors) {
  std::set<std::string> present;
  for (const TensorEntry& tensor : tensors) present.insert(tensor.group);
  std::vector<std::string> groups;
  for (const std::string_view known : kKnownGroups) {
    if (present.erase(std::string(known)) > 0) groups.emplace_back(known);
  }
  groups.insert(groups.end(), present.begin(), present.end());
  return groups;
}

std::vector<std::size_t> hash_order(std::span<const TensorEntry> tensors) {
  std::vector<std::size_t> order;
  order.reserve(tensors.size());
  for (const std::string& group : groups_in_order(tensors)) {
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      if (tensors[i].group == group) order.push_back(i);
    }
  }
  return order;
}

void check_registry(std::span<const TensorEntry> tensors) {
  std::set<std::pair<std::string_view, std::string_view>> seen;
  for (const TensorEntry& tensor : tensors) {
    const std::string where = "tensor " + tensor.group + "/" + tensor.name + ": ";
    if (!valid_group(tensor.group)) throw std::invalid_argument(where + "a group's name is made of a-z, 0-9 and _");
    if (tensor.name.empty() || tensor.name == "__metadata__") throw std::invalid_argument(where + "this name cannot be stored");
    if (!seen.emplace(tensor.group, tensor.name).second) throw std::invalid_argument(where + "registered twice");
    std::int64_t elements = 1;
    for (const std::int64_t extent : tensor.shape) {
      if (extent < 0 || __builtin_mul_overflow(elements, extent, &elements)) throw std::invalid_argument(where + "impossible shape");
    }
    if (static_cast<std::uint64_t>(elements) != tensor.data.size()) {
      throw std::invalid_argument(where + "shape " + shape_text(tensor.shape) + " is not " + std::to_string(tensor.data.size()) +
                                  " elements");
    }
  }
}

std::string shape_text(std::span<const std::int64_t> shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

}  // namespace longhaul::checkpoint
