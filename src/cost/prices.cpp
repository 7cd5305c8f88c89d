#include "cost/prices.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <mutex>
#include <stdexcept>

#include "cluster/catalogue.h"
#include "cost/framework.h"
#include "cost/gemm_shape.h"
#include "cost/parameter_key.h"

namespace longhaul::cost {
namespace {

/// Where the catalogue is silent: about an A100 of a DGX, whose share of the network is 200 Gb/s.
constexpr double kUsualMatmul = 0.75, kUsualMemory = 2e12, kUsualCapacity = 80e9, kUsualLink = 50e9, kUsualNetwork = 25e9;
/// Matrix units work on groups of eight 16-bit elements: other sizes are padded or read piecemeal.
constexpr double kAlignment = 8;

/// The catalogue's files are read once each.
const cluster::Cluster& look_up(const std::string& name) {
  static std::mutex mutex;
  static std::map<std::string, cluster::Cluster> known;
  const std::scoped_lock lock(mutex);
  const auto at = known.find(name);
  return at != known.end() ? at->second : known.emplace(name, cluster::find_cluster(name)).first->second;
}

/// Peak of 16-bit products; both 16-bit types run at one rate wherever both exist.
double sixteen_bit(const std::map<std::string, double>& rates) {
  for (const char* dtype : {"bf16", "fp16"})
    if (const auto at = rates.find(dtype); at != rates.end()) return at->second;
  return 0;
}

DeviceRates rates_of(const RunShape& run, const TimeParameters& parameters) {
  const cluster::Cluster& cluster = run.hardware ? *run.hardware : look_up(run.accelerator);
  const cluster::Accelerator& accelerator = cluster.accelerator;
  DeviceRates out;
  out.peak = sixteen_bit(accelerator.peak_flops);
  if (out.peak <= 0) out.peak = accelerator.peak("bf16");  // says which dtypes there are
  const double matmul = sixteen_bit(accelerator.matmul_flops);
  const double usual = matmul > 0 ? matmul : kUsualMatmul * out.peak;
  out.products = parameters.has("gemm_efficiency") ? out.peak * parameters("gemm_efficiency") : usual * parameters("gemm_of_best_matmul");
  out.memory = accelerator.memory_bandwidth.value_or(kUsualMemory) * parameters("memory_efficiency");
  out.memory_capacity = accelerator.memory ? static_cast<double>(accelerator.memory->value) : kUsualCapacity;
  out.link = accelerator.link.value_or(kUsualLink);
  out.network =
      parameters.has("node_bandwidth") ? parameters("node_bandwidth") : cluster.network.value_or(kUsualNetwork * run.devices_per_node);
  out.units = static_cast<int>(parameters("units"));
  return out;
}

bool misaligned(double size) { return std::fmod(size, kAlignment) != 0; }

}  // namespace

TimeParameters::TimeParameters(const RunShape& run, const Calibration& calibration) : calibration_(calibration), key_(parameter_key(run)) {
  const std::string base = key_.framework.substr(0, key_.framework.find('+'));
  calibrated_ = std::any_of(calibration.parameters.begin(), calibration.parameters.end(), [&](const auto& entry) {
    const ParameterKey& key = entry.first.second;
    const std::string& framework = key.framework;
    return key.accelerator == key_.accelerator && base.starts_with(framework) &&
           (base.size() == framework.size() || base[framework.size()] == '-') && entry.first.first.starts_with("time.");
  });
}

namespace {

/// "time." and a name, without memory from the heap: parameters are looked up by the million.
class TimeName {
 public:
  explicit TimeName(std::string_view name) {
    constexpr std::string_view kPrefix = "time.";
    if (name.size() > text_.size() - kPrefix.size()) throw std::logic_error("a parameter's name is too long");
    std::copy(name.begin(), name.end(), std::copy(kPrefix.begin(), kPrefix.end(), text_.begin()));
    size_ = kPrefix.size() + name.size();
  }
  std::string_view text() const { return {text_.data(), size_}; }

 private:
  std::array<char, 64> text_{};
  std::size_t size_ = 0;
};

}  // namespace

std::vector<std::string> assumed_rates(const RunShape& run, const Calibration& calibration) {
  const cluster::Cluster& cluster = run.hardware ? *run.hardware : look_up(run.accelerator);
  std::vector<std::string> out;
  const auto assume = [&](const char* what, const char* field, double rate) {
    out.push_back(fmt::format("the catalogue has no {} of {}: {:.0f} GB/s a device is assumed; a hardware file with {} says better", what,
                              run.accelerator, rate / 1e9, field));
  };
  if (!cluster.accelerator.memory_bandwidth) assume("memory bandwidth", "memory_gb_per_s", kUsualMemory);
  if (!cluster.accelerator.link && run.devices > 1 && run.devices_per_node > 1) assume("link", "link_gb_per_s", kUsualLink);
  if (!cluster.network && run.devices > run.devices_per_node && !TimeParameters(run, calibration).has("node_bandwidth"))
    assume("network", "network_gb_per_s", kUsualNetwork);
  return out;
}

double TimeParameters::operator()(std::string_view name) const { return calibration_(TimeName(name).text(), key_); }
bool TimeParameters::has(std::string_view name) const { return calibration_.has(TimeName(name).text(), key_); }

Prices::Prices(const RunShape& run, const Calibration& calibration)
    : run_(run), parameters_(run, calibration), device_(rates_of(run, parameters_)) {
  const TimeParameters& p = parameters_;
  product_ = {p("gemm_waste"), p("gemm_m"), p("gemm_n"), p("gemm_k"), p("gemm_misaligned"), p("gemm_weight_gradient"), 1};
  if (run.precision == Precision::fp8) product_.fp8 = run.row_scales ? p("fp8_row_speedup") : p("fp8_speedup");
}

double Prices::of(const WorkItem& item) const {
  switch (item.kind) {
    case WorkKind::gemm:
      return product(item);
    case WorkKind::attention:
      return attention(item);
    case WorkKind::bytes:
      return memory(item);
    case WorkKind::collective:
      return collective(item);
  }
  return 0;
}

double Prices::product(const WorkItem& item) const {
  double seconds = item.flops() / device_.products * (1 + product_.m / item.m) * (1 + product_.n / item.n) * (1 + product_.k / item.k);
  if (product_.waste > 0) seconds *= 1 + product_.waste * (tile_waste(item.m, item.n, item.k, device_.units) - 1);
  if (misaligned(item.m) || misaligned(item.n) || misaligned(item.k)) seconds *= 1 + product_.misaligned;
  if (item.pass == WorkPass::weight_gradient) seconds *= product_.weight_gradient;
  return item.name == "head" || item.name == "router" ? seconds : seconds / product_.fp8;  // those two stay in 16 bits
}

double Prices::attention(const WorkItem& item) const {
  const TimeParameters& p = parameters_;
  const bool backward = item.pass != WorkPass::forward;
  if (run_.flash_attention) return item.flops() / (device_.peak * p("flash_efficiency")) * (backward ? p("flash_backward") : 1);
  const double seconds = item.flops() / device_.products * (1 + p("attention_head_width") / item.k) * (backward ? 2 : 1);
  return misaligned(item.k) ? seconds * (1 + p("attention_misaligned")) : seconds;
}

double Prices::memory(const WorkItem& item) const {
  double moved = 1;
  switch (item.sort) {
    case BytesKind::elementwise:
      moved = parameters_(item.pass == WorkPass::forward ? "elementwise_forward" : "elementwise_backward");
      break;
    case BytesKind::softmax:
      moved = parameters_("softmax_moved");
      break;
    case BytesKind::logits:
      moved = parameters_("logits_moved");
      break;
    case BytesKind::accumulation:
      moved = parameters_("accumulation_moved");
      break;
    case BytesKind::table:
      break;
  }
  return item.bytes * moved / device_.memory;
}

double Prices::tensor_half(double bytes) const {
  const TimeParameters& p = parameters_;
  const int ranks = run_.layout.tp, inside = std::min(ranks, run_.devices_per_node);
  const double share = (ranks - 1.0) / ranks;
  const double latency = p("tp_latency") + p("tp_latency_rank") * inside;
  if (ranks <= run_.devices_per_node) return latency + share * bytes / (device_.link * p("tp_link_efficiency"));
  return latency + p("tp_latency_across") * ranks + share * bytes / (device_.network * p("tp_network_efficiency"));
}

double Prices::collective(const WorkItem& item) const {
  const TimeParameters& p = parameters_;
  const program::Layout& layout = run_.layout;
  const double halves = item.collective == CollectiveKind::all_reduce ? 2 : 1;
  if (item.group == Group::tensor) {
    const double exposed = item.pass == WorkPass::weight_gradient ? p("tp_regather_exposed") : 1;
    return halves * exposed * tensor_half(item.bytes) * (run_.async_tensor_parallel ? p("tp_async_exposed") : 1);
  }
  if (item.group == Group::context) return p("cp_exposed") * halves * half_ring(item.bytes, layout.cp, layout.tp);
  return halves * half_ring(item.bytes, layout.ep, 1);  // expert parallelism folds over neighbours (program/layout.h)
}

double Prices::half_ring(double bytes, int ranks, int stride) const {
  return ranks > 1 ? (ranks - 1.0) / ranks * bytes / exchange_bandwidth(ranks, stride) : 0;
}

double Prices::exchange_bandwidth(int ranks, int stride) const {
  const TimeParameters& p = parameters_;
  const double link = device_.link * p("dp_link_efficiency");
  const double nodes = static_cast<double>(ranks) * stride / run_.devices_per_node;
  if (nodes <= 1) return link;
  // A node's network is shared by the groups that its devices belong to.
  const double inside = std::min<double>(ranks, std::max(1, run_.devices_per_node / stride));
  const double network = device_.network * p("dp_network_efficiency") * inside / run_.devices_per_node;
  return std::min(link, network * std::pow(nodes, -p("dp_contention")));
}

bool Prices::neighbours_share_node() const {
  const program::Layout& layout = run_.layout;
  return 2 * layout.tp * layout.cp * layout.dp <= run_.devices_per_node;
}

Prices::Message Prices::message(double bytes) const {
  const TimeParameters& p = parameters_;
  const bool split = framework(run_.framework).splits_messages || run_.layout.sequence_parallel;
  const double sent = split ? bytes / run_.layout.tp : bytes;
  double seconds = 0;
  if (neighbours_share_node())
    seconds = p("p2p_latency_node") + sent / (device_.link * p("p2p_link_efficiency"));
  else
    seconds = p("p2p_latency") + sent / (device_.network / run_.devices_per_node * p("p2p_network_efficiency"));
  // What was split is whole again after a gather inside the node, unless the next stage works on its part of the sequence.
  if (split && !run_.layout.sequence_parallel) seconds += (bytes - sent) / (device_.link * p("tp_link_efficiency"));
  // What an exchange leaves runs beside the next turn.
  if (const double exchange = p("p2p_exchange"); exchange > 0) return {.exchange = exchange * seconds};
  const double blocking = p("p2p_hold");
  return {.wire = (1 - blocking) * seconds, .blocking = blocking * seconds};
}

}  // namespace longhaul::cost
