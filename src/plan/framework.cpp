#include "plan/framework.h"

#include <algorithm>
#include <array>

namespace longhaul::plan {

const Framework& framework(std::string_view name) {
  static constexpr std::array<Framework, 6> known{{
      {.name = "megatron-deepspeed", .pads_vocabulary = true},
      {.name = "megatron-lm", .pads_vocabulary = true, .splits_messages = true},
      {.name = "nanotron", .splits_messages = true, .blocking_messages = true},
      {.name = "llm-foundry", .shards_by_layer = true},
      {.name = "torchtitan", .splits_messages = true, .shards_by_layer = true},
      {.name = "", .splits_messages = true},
  }};
  const std::string_view base = name.substr(0, name.find('+'));
  const auto at = std::find_if(known.begin(), known.end() - 1, [&](const Framework& each) { return each.name == base; });
  return *at;
}

}  // namespace longhaul::plan
