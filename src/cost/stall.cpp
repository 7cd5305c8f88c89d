#include "cost/stall.h"

#include <fmt/format.h>

#include "cost/framework.h"

namespace longhaul::cost {
namespace {

constexpr int kManyDevices = 512, kSomeDevices = 256;
constexpr int kWideTensorGroup = 32, kNarrowTensorGroup = 4;
constexpr int kManyMicroBatches = 16, kManyReplicas = 32, kFullNode = 8;
constexpr std::int64_t kSmallModel = 4000, kLargeModel = 8000;  ///< hidden size: below 4,000 the 1B and 3B models, from 8,000 the 80B
/// Of the device's stated memory, buffers that could be freed included: 77 of the 79.6 GiB that an "80 GB" device really has.
constexpr double kCrowded = 1.0335;

std::string reason(const RunShape& run, bool crowded) {
  const program::Layout& l = run.layout;
  const std::int64_t h = run.model.width;
  if (run.devices >= kManyDevices) return fmt::format("{} devices or more", kManyDevices);
  if (l.tp >= kWideTensorGroup) return fmt::format("tp of {} or more", kWideTensorGroup);
  if (l.zero == 0 && l.dp > 1 && run.micro_batches() >= kManyMicroBatches && l.tp * l.dp >= kFullNode && h < kLargeModel)
    return fmt::format("gradients reduced without ZeRO beside {} or more micro-batches", kManyMicroBatches);
  if (run.devices >= kSomeDevices && l.tp <= kNarrowTensorGroup && h < kSmallModel)
    return fmt::format("a small model on {} devices or more with tp of {} or less", kSomeDevices, kNarrowTensorGroup);
  if (run.devices >= kSomeDevices && h >= kSmallModel && run.micro_batch > 1)
    return fmt::format("micro-batches of several sequences on {} devices or more", kSomeDevices);
  return crowded ? "the first stage fills the device's memory" : "";
}

}  // namespace

Stall expect_stall(const RunShape& run, double first_stage_bytes, double device_bytes) {
  Stall out;
  if (!framework(run.framework).blocking_messages || run.devices <= run.devices_per_node) return out;
  const bool crowded = first_stage_bytes > kCrowded * device_bytes;
  if (run.layout.pp > 1) {
    out.why = reason(run, crowded);
    out.messages = !out.why.empty();
    return out;
  }
  out.launches = run.layout.tp > 1 && (crowded || (run.devices >= kManyDevices && run.layout.dp >= kManyReplicas));
  if (out.launches) out.why = crowded ? "its memory is full" : "many replicas on many devices";
  return out;
}

}  // namespace longhaul::cost
