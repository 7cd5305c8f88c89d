#include "cost/exchange.h"

#include <algorithm>
#include <cmath>

#include "cost/layer_time.h"

namespace longhaul::cost {
namespace {

constexpr double kWeightBytes = 2;
/// How gradually overlap ends where traffic and work last alike, as a share of the traffic.
constexpr double kSoftEdge = 0.1;

/// max(0, traffic − cover) with a soft edge.
double uncovered(double traffic, double cover) {
  if (cover <= 0) return traffic;
  const double left = traffic - cover, edge = kSoftEdge * traffic;
  return (left + std::sqrt(left * left + edge * edge)) / 2;
}

}  // namespace

double data_parallel_seconds(const RunShape& run, const Prices& prices, const HeldParameters& held, double slowest) {
  const TimeParameters& p = prices.parameters();
  const int zero = run.layout.zero;
  const bool by_layer = shards_by_layer(run);
  const double reduce = p("reduce_bytes"), latency = p("dp_latency"), shard_latency = zero > 0 && !by_layer ? p("dp_shard_latency") : 0;
  double traffic = 0, latencies = 0;
  for (const DataGroup& group : data_groups(run, held)) {
    if (group.ranks == 1) continue;
    latencies += latency * std::log2(group.ranks) + shard_latency;
    if (zero == 0) {
      traffic += 2 * prices.half_ring(reduce * group.parameters, group.ranks, group.stride);
      continue;
    }
    // Copies of the sharded states add up their pieces (HSDP).
    traffic += 2 * prices.half_ring(reduce * group.parameters / group.shards, group.copies(), group.shards * group.stride);
    if (!by_layer) traffic += prices.half_ring((reduce + kWeightBytes) * group.parameters, group.shards, group.stride);
  }
  return (zero == 0 ? uncovered(traffic, p("dp_overlap") * slowest) : traffic) + latencies;
}

double tied_embedding_seconds(const RunShape& run, const Prices& prices, double embedding_parameters) {
  if (run.layout.pp == 1 || !run.model.tied_embeddings) return 0;
  const TimeParameters& p = prices.parameters();
  const bool one_node = run.devices <= run.devices_per_node;
  const double bandwidth = one_node ? prices.device().link * p("dp_link_efficiency")
                                    : prices.device().network * p("dp_network_efficiency") / std::min(run.devices_per_node, run.layout.tp);
  return (run.fp32_gradients ? 4 : 2) * embedding_parameters / bandwidth;
}

double optimizer_seconds(const RunShape& run, const Prices& prices, const HeldParameters& held) {
  const TimeParameters& p = prices.parameters();
  const double divided = p("optimizer_bytes"), whole = p("optimizer_bytes_whole");
  double bytes = 0;
  for (const DataGroup& group : data_groups(run, held))
    bytes += group.parameters * (divided / (run.layout.zero > 0 ? group.shards : 1) + whole);
  return bytes / prices.device().memory;
}

}  // namespace longhaul::cost
