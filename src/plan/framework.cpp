#include "plan/framework.h"

#include <algorithm>
#include <array>

namespace longhaul::plan {

namespace {

/// The last stands for all that is unknown.
constexpr std::array<Framework, 6> kKnown{{
    {.name = "megatron-deepspeed", .pads_vocabulary = true},
    {.name = "megatron-lm", .pads_vocabulary = true, .splits_messages = true},
    {.name = "nanotron", .splits_messages = true, .blocking_messages = true},
    {.name = "llm-foundry", .shards_by_layer = true},
    {.name = "torchtitan", .splits_messages = true, .shards_by_layer = true},
    {.name = "", .splits_messages = true},
}};

}  // namespace

std::vector<std::string_view> framework_names() {
  std::vector<std::string_view> out;
  for (const Framework& each : kKnown)
    if (!each.name.empty()) out.push_back(each.name);
  return out;
}

const Framework& framework(std::string_view name) {
  const std::string_view base = name.substr(0, name.find('+'));
  const auto at = std::find_if(kKnown.begin(), kKnown.end() - 1, [&](const Framework& each) { return each.name == base; });
  return *at;
}

}  // namespace longhaul::plan
