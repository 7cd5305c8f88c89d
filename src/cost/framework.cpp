#include "cost/framework.h"

#include <algorithm>
#include <array>

namespace longhaul::cost {

namespace {

/// The last stands for all that is unknown.
constexpr std::array<Framework, 6> kKnown{{
    // DeepSpeed's pipeline works with ZeRO 1 at most and has one schedule.
    {.name = "megatron-deepspeed", .pads_vocabulary = true, .offers = "cp=1,zero=0+1,shard=all,virtual=1,sp=0,schedule=1f1b"},
    {.name = "megatron-lm", .pads_vocabulary = true, .splits_messages = true, .offers = "zero=0+1,shard=all,schedule=1f1b+interleaved"},
    {.name = "nanotron",
     .splits_messages = true,
     .blocking_messages = true,
     .offers = "zero=0+1,shard=all,virtual=1,schedule=gpipe+1f1b,recompute=none+layer"},
    {.name = "llm-foundry", .shards_by_layer = true, .offers = "tp=1,pp=1,cp=1,zero=2+3,recompute=none+layer"},
    {.name = "torchtitan", .splits_messages = true, .shards_by_layer = true, .offers = "zero=2+3,schedule=gpipe+1f1b+interleaved"},
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

}  // namespace longhaul::cost
