#include "plan/exchange.h"

#include <algorithm>
#include <cmath>

#include "plan/layer_time.h"

namespace longhaul::plan {
namespace {

constexpr double kWeightBytes = 2;
/// How gradually overlap ends where traffic and work last alike, as a share of the traffic.
constexpr double kSoftEdge = 0.1;

/// Seconds that one byte a parameter takes through half a ring all-reduce.
double half_ring(const RunShape& run, const Prices& prices, int ranks, int stride, double parameters) {
  return ranks > 1 ? (ranks - 1.0) / ranks * parameters / prices.exchange_bandwidth(ranks, stride * run.layout.tp) : 0;
}

/// max(0, traffic − cover) with a soft edge.
double uncovered(double traffic, double cover) {
  if (cover <= 0) return traffic;
  const double left = traffic - cover, edge = kSoftEdge * traffic;
  return (left + std::sqrt(left * left + edge * edge)) / 2;
}

}  // namespace

double data_parallel_seconds(const RunShape& run, const Prices& prices, double parameters, double slowest) {
  const TimeParameters& p = prices.parameters();
  const program::Layout& layout = run.layout;
  const int ranks = layout.dp * layout.cp;
  if (ranks == 1) return 0;
  const double reduce = p("reduce_bytes"), latency = p("dp_latency") * std::log2(ranks);
  if (layout.zero == 0) return uncovered(2 * reduce * half_ring(run, prices, ranks, 1, parameters), p("dp_overlap") * slowest) + latency;
  // Copies of the sharded states add up their pieces (HSDP).
  const int shards = layout.shards(), copies = ranks / shards;
  const double across = 2 * reduce * half_ring(run, prices, copies, shards, parameters / shards);
  if (shards_by_layer(run)) return across + latency;
  return (reduce + kWeightBytes) * half_ring(run, prices, shards, 1, parameters) + across + latency + p("dp_shard_latency");
}

double tied_embedding_seconds(const RunShape& run, const Prices& prices, double embedding_parameters) {
  if (run.layout.pp == 1 || !run.model.tied_embeddings) return 0;
  const TimeParameters& p = prices.parameters();
  const bool one_node = run.devices <= run.devices_per_node;
  const double bandwidth = one_node ? prices.device().link * p("dp_link_efficiency")
                                    : prices.device().network * p("dp_network_efficiency") / std::min(run.devices_per_node, run.layout.tp);
  return (run.fp32_gradients ? 4 : 2) * embedding_parameters / bandwidth;
}

double optimizer_seconds(const RunShape& run, const Prices& prices, double parameters) {
  const TimeParameters& p = prices.parameters();
  const double sharded = p("optimizer_bytes") / (run.layout.zero > 0 ? run.layout.shards() : 1);
  return parameters * (sharded + p("optimizer_bytes_whole")) / prices.device().memory;
}

}  // namespace longhaul::plan
