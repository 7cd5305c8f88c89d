#include "cost/layer_time.h"

#include <algorithm>
#include <cmath>

#include "cost/framework.h"

namespace longhaul::cost {
namespace {

/// Kernels of a layer's passes: each begins a few microseconds after the one before ends, even when the host is ahead.
constexpr double kForwardKernels = 20, kBackwardKernels = 35;

/// (aᵖ + bᵖ)^(1/p): the larger where they differ, somewhat more where they are alike.
double smooth_maximum(double a, double b, double sharpness) {
  const double most = std::max(a, b);
  return most > 0 ? most * std::pow(std::pow(a / most, sharpness) + std::pow(b / most, sharpness), 1 / sharpness) : 0;
}

/// Device seconds of one pass by kind.
struct PassTime {
  double gemm = 0, attention = 0, bytes = 0, weight_gemm = 0;
  CollectiveSeconds collectives;
  double work() const { return gemm + attention + bytes; }
  void add(const WorkItem& item, double seconds) {
    if (item.kind == WorkKind::collective)
      of(item.group) += seconds;
    else if (item.kind == WorkKind::attention || item.sort == BytesKind::softmax)
      attention += seconds;
    else
      (item.kind == WorkKind::gemm ? gemm : bytes) += seconds;
    if (item.kind == WorkKind::gemm && item.pass == WorkPass::weight_gradient) weight_gemm += seconds;
  }

 private:
  double& of(Group group) {
    return group == Group::tensor ? collectives.tensor : group == Group::context ? collectives.context : collectives.expert;
  }
};

struct Passes {
  PassTime forward, backward;
};

Passes price(const std::vector<WorkItem>& items, const Prices& prices) {
  Passes out;
  for (const WorkItem& item : items) (item.pass == WorkPass::forward ? out.forward : out.backward).add(item, prices.of(item));
  return out;
}

/// Layers that the model has of each kind, as shares.
Passes mean_layer(const RunShape& run, const Prices& prices) {
  const double sparse = sparse_share(run.model);
  if (sparse == 0) return price(layer_work(run), prices);
  Passes out;
  for (const bool experts : {false, true})
    for (const WorkItem& item : layer_work(run, experts))
      (item.pass == WorkPass::forward ? out.forward : out.backward).add(item, prices.of(item) * (experts ? sparse : 1 - sparse));
  return out;
}

/// The host's launches.
class Launches {
 public:
  Launches(const RunShape& run, const TimeParameters& p, bool slow) : forward_(p("launch_forward")), backward_(p("launch_backward")) {
    const int tp = run.layout.tp;
    const bool crosses = run.devices > run.devices_per_node && (run.layout.pp > 1 || slow);
    double more = fused_softmax(run) ? 0 : p("launch_unfused");
    if (tp > 1) more += std::max(p("launch_tensor"), crosses ? p("launch_across") * tp : 0);
    forward_ *= 1 + more, backward_ *= 1 + more;
  }
  double forward() const { return forward_; }
  double backward() const { return backward_; }

 private:
  double forward_, backward_;
};

/// Seconds beside others: the longer of both and a share of the shorter, by which they slow each other down.
double beside(double work, double traffic, double slowdown) { return std::max(work, traffic) + slowdown * std::min(work, traffic); }

/// Seconds to gather the weights, and to scatter their gradients, among the ranks that share them.
struct Sharding {
  double gather = 0, scatter = 0;
};
Sharding sharding(const RunShape& run, const Prices& prices, const HeldParameters& held) {
  double byte = 0;  // seconds, were each parameter one
  for (const DataGroup& group : data_groups(run, held)) byte += prices.half_ring(group.parameters, group.shards, group.stride);
  // fp8 weights travel as such.
  const double weight = run.precision == Precision::fp8 ? prices.parameters()("fp8_gather_bytes") : 2;
  return {weight * byte, prices.parameters()("reduce_bytes") * byte};
}

/// Under a pipeline parameters stay gathered from the first micro-batch to the last: a micro-batch bears its part.
double gathers_per_micro_batch(const RunShape& run) { return run.layout.pp > 1 ? 1.0 / std::max(1, run.micro_batches()) : 1; }

void add_sharding(LayerTime& layer, const RunShape& run, const Prices& prices, const HeldParameters& held) {
  const Sharding traffic = sharding(run, prices, held);
  const double slowdown = prices.parameters()("fsdp_slowdown"), often = gathers_per_micro_batch(run);
  const double again = run.layout.zero == 3 ? traffic.gather : 0;
  const double forward = beside(layer.forward, traffic.gather * often, slowdown);
  const double backward = beside(layer.backward, (again + traffic.scatter) * often, slowdown);
  layer.sharding_forward = forward - layer.forward;
  layer.exposed_sharding = layer.sharding_forward + backward - layer.backward;
  layer.forward = forward, layer.backward = backward;
}

/// What runs again before a layer's backward pass.
struct Again {
  double seconds = 0;
  CollectiveSeconds collectives;
};
Again recomputed(const RunShape& run, const TimeParameters& p, double forward, const PassTime& pass, const CollectiveSeconds& collectives) {
  if (run.layout.recompute == program::Recompute::none) return {};
  if (run.layout.recompute == program::Recompute::layer) return {forward, collectives};
  const double rest = p("selective_products");
  return {rest * (forward - pass.attention) + p("selective_attention") * pass.attention, rest * collectives};
}

}  // namespace

bool shards_by_layer(const RunShape& run) {
  return run.layout.zero == 3 || (run.layout.zero == 2 && framework(run.framework).shards_by_layer);
}

LayerTime layer_time(const RunShape& run, const Prices& prices, const StageParameters& parameters, bool slow_launches) {
  const TimeParameters& p = prices.parameters();
  const Passes passes = mean_layer(run, prices);
  const Launches launches(run, p, slow_launches);
  const double hidden = p("tp_hidden"), sharpness = p("launch_sharpness"), gap = p("kernel_gap");
  CollectiveSeconds exposed;
  const auto pass_time = [&](const PassTime& pass, double kernels, double launch) {
    const double device = pass.work() + kernels * gap;
    const double collectives = pass.collectives.total();
    const double work = smooth_maximum(device + hidden * collectives, launch, sharpness);
    // Of each second of collectives: what waits for a slower host with the work, and what stands behind both.
    exposed += (work * hidden / (device + hidden * collectives) + 1 - hidden) * pass.collectives;
    return work + (1 - hidden) * collectives;
  };

  LayerTime out;
  out.gemm = passes.forward.gemm + passes.backward.gemm;
  out.attention = passes.forward.attention + passes.backward.attention;
  out.bytes = passes.forward.bytes + passes.backward.bytes + (kForwardKernels + kBackwardKernels) * gap;
  out.collectives = passes.forward.collectives.total() + passes.backward.collectives.total();
  out.device = out.gemm + out.attention + out.bytes + out.collectives;
  out.launch = launches.forward() + launches.backward();
  out.forward = pass_time(passes.forward, kForwardKernels, launches.forward());
  const CollectiveSeconds forward_collectives = exposed;
  const Again again = recomputed(run, p, out.forward, passes.forward, forward_collectives);
  out.backward = pass_time(passes.backward, kBackwardKernels, launches.backward());
  out.weight_gradient = out.backward * passes.backward.weight_gemm / (passes.backward.work() + passes.backward.collectives.total());
  out.recomputed = again.seconds;
  out.backward += again.seconds;
  exposed += again.collectives;
  out.exposed_collectives = exposed;
  if (shards_by_layer(run)) add_sharding(out, run, prices, parameters.layer());
  return out;
}

EndTime embedding_time(const RunShape& run, const Prices& prices) {
  const Passes passes = price(embedding_work(run), prices);
  return {.forward = passes.forward.work() + passes.forward.collectives.tensor, .exposed_collectives = passes.forward.collectives.tensor};
}

EndTime head_time(const RunShape& run, const Prices& prices, const StageParameters& parameters) {
  const Passes passes = price(head_work(run), prices);
  const double forward = passes.forward.collectives.tensor, backward = passes.backward.collectives.tensor;
  EndTime out{.forward = passes.forward.work() + forward,
              .backward = passes.backward.work() + backward,
              .weight_gradient = passes.backward.weight_gemm,
              .exposed_collectives = forward + backward};
  if (!shards_by_layer(run)) return out;
  // Half of it hides behind the last layers.
  constexpr double kExposed = 0.5;
  const Sharding traffic = sharding(run, prices, {kExposed * gathers_per_micro_batch(run) * parameters.head(), 0});
  out.forward += traffic.gather, out.backward += traffic.gather + traffic.scatter;
  out.exposed_sharding = 2 * traffic.gather + traffic.scatter;
  return out;
}

}  // namespace longhaul::cost
