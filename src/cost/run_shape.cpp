#include "cost/run_shape.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace longhaul::cost {

std::string_view name(Precision precision) {
  constexpr std::array<std::string_view, 3> names{"bf16", "fp16", "fp8"};
  return names[static_cast<std::size_t>(precision)];
}

std::vector<std::string> contradictions(const RunShape& run) {
  const program::Layout& layout = run.layout;
  std::vector<std::string> out;
  const int world = layout.world(), others = world / layout.dp;
  if (world != run.devices)
    out.push_back(fmt::format(
        "dp·tp·pp·cp = {}·{}·{}·{} = {} ranks, the cluster has {} devices; {}", layout.dp, layout.tp, layout.pp, layout.cp, world,
        run.devices,
        run.devices % others == 0 ? fmt::format("dp={} uses them all", run.devices / others) : fmt::format("plan for {} devices", world)));
  const std::int64_t at_once = run.micro_batch * layout.dp;
  if (run.global_batch % at_once != 0) {
    out.push_back(fmt::format("batch.global_batch = {} is not a multiple of micro_batch·dp = {}·{}; nearest: {}", run.global_batch,
                              run.micro_batch, layout.dp, std::max<std::int64_t>(1, (run.global_batch + at_once / 2) / at_once) * at_once));
    return out;
  }
  for (std::string& sentence : program::contradictions(run.model, layout, run.sequence_length, run.micro_batches()))
    out.push_back(std::move(sentence));
  return out;
}

std::string to_text(const RunShape& run) { return fmt::format("{} micro_batch={}", to_text(run.layout), run.micro_batch); }

}  // namespace longhaul::cost
