#include "cluster/catalogue.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "files/examples.h"
#include "files/read.h"
#include "files/toml.h"
#include "units/error.h"
#include "units/format.h"
#include "units/nearest.h"

namespace longhaul::cluster {
namespace {

constexpr double kTera = 1e12, kGiga = 1e9;
constexpr int kMostDevices = 1 << 20;

/// One file of the catalogue, field by field, with errors that name file, line and field.
class Reader {
 public:
  explicit Reader(std::filesystem::path path)
      : path_(std::move(path)), table_(files::parse_toml(files::read_input(path_), path_.string())) {}

  std::string text(const char* key, bool required) const {
    const auto value = table_[key].value<std::string>();
    if (!value && (required || table_[key])) fail(key, "a text");
    return value.value_or("");
  }
  std::optional<double> positive(toml::node_view<const toml::node> node, const std::string& key, double unit) const {
    if (!node) return std::nullopt;
    const auto value = node.value<double>();
    if (!value || !(*value > 0) || !std::isfinite(*value)) fail(key, "a number above 0", node.node());
    return *value * unit;
  }
  std::optional<double> positive(const char* key, double unit) const { return positive(table_[key], key, unit); }
  std::map<std::string, double> rates(const char* key) const {
    std::map<std::string, double> out;
    const toml::table* rates = table_[key].as_table();
    if (!rates) {
      if (table_[key]) fail(key, "a table of dtypes");
      return out;
    }
    for (const auto& [dtype, node] : *rates)
      out[std::string(dtype.str())] = *positive(toml::node_view<const toml::node>(node), fmt::format("{}.{}", key, dtype.str()), kTera);
    return out;
  }
  const toml::table& table() const { return table_; }
  void no_others(const toml::table& table, const std::string& where, const std::vector<std::string_view>& known) const {
    for (const auto& [key, node] : table)
      if (std::find(known.begin(), known.end(), key.str()) == known.end())
        throw UsageError(fmt::format("{}:{}: {}{} is unknown here; known: {}; nearest: {}", path_.string(), node.source().begin.line, where,
                                     key.str(), fmt::join(known, ", "), nearest(key.str(), known)));
  }
  std::string stem() const { return path_.stem().string(); }
  [[noreturn]] void fail(const std::string& key, const std::string& allowed, const toml::node* node = nullptr) const {
    const std::size_t line = node ? node->source().begin.line : table_.source().begin.line;
    throw UsageError(fmt::format("{}:{}: {} must be {}", path_.string(), line, key, allowed));
  }

 private:
  std::filesystem::path path_;
  toml::table table_;
};

Accelerator read_accelerator(const Reader& file) {
  Accelerator out;
  out.id = file.stem();
  out.name = file.text("name", true);
  out.source = file.text("source", true);
  out.note = file.text("note", false);
  out.peak_flops = file.rates("peak_tflops");
  if (out.peak_flops.empty()) file.fail("peak_tflops", "a table with at least one dtype, for example {bf16 = 312}");
  out.matmul_flops = file.rates("matmul_tflops");
  if (const auto gigabytes = file.positive("memory_gb", kGiga)) out.memory = Bytes(std::llround(*gigabytes));
  out.memory_bandwidth = file.positive("memory_tb_per_s", kTera);
  out.link = file.positive("link_gb_per_s", kGiga);
  return out;
}

Cluster read_cluster(const std::filesystem::path& path) {
  const Reader file(path);
  file.no_others(
      file.table(), "",
      {"name", "source", "note", "accelerator", "peak_tflops", "matmul_tflops", "memory_gb", "memory_tb_per_s", "link_gb_per_s", "node"});
  Cluster out;
  const std::string base = file.text("accelerator", false);
  if (base.empty()) {
    out.accelerator = read_accelerator(file);
  } else {
    const Reader accelerator(files::find_example("clusters", "cluster", base, path.parent_path()));
    if (accelerator.table()["accelerator"]) file.fail("accelerator", "an accelerator, not a system");
    out.accelerator = read_accelerator(accelerator);
    out.network_source = file.text("source", true);
  }
  out.id = file.stem();
  const auto node = file.table()["node"];
  if (node && !node.is_table()) file.fail("node", "a table", node.node());
  if (node) file.no_others(*node.as_table(), "node.", {"devices", "network_gb_per_s"});
  if (const auto devices = file.positive(node["devices"], "node.devices", 1)) {
    if (*devices != std::floor(*devices) || *devices > kMostDevices) file.fail("node.devices", "a whole number", node["devices"].node());
    out.devices_per_node = static_cast<int>(*devices);
  }
  out.network = file.positive(node["network_gb_per_s"], "node.network_gb_per_s", kGiga);
  if (out.network_source.empty()) out.network_source = out.accelerator.source;
  return out;
}

}  // namespace

double Accelerator::peak(std::string_view dtype) const {
  const auto found = peak_flops.find(std::string(dtype));
  if (found != peak_flops.end()) return found->second;
  // Both 16-bit types run at one rate wherever both exist; where bf16 is stated, so does fp16.
  if (dtype == "fp16" && peak_flops.contains("bf16")) return peak_flops.at("bf16");
  std::string known;
  for (const auto& [known_dtype, rate] : peak_flops) known += (known.empty() ? "" : ", ") + known_dtype;
  throw UsageError(fmt::format("{} has no peak for {}; it has {}: use --precision {}", name, dtype, known,
                               peak_flops.contains("bf16") || peak_flops.empty() ? "bf16" : peak_flops.begin()->first));
}

std::vector<Cluster> catalogue() {
  std::vector<Cluster> out;
  for (const std::string& name : files::example_names("clusters")) out.push_back(find_cluster(name));
  return out;
}

Cluster find_cluster(const std::string& name) {
  // "h100x64": the count is what follows the last x, where that is a number.
  std::string base = name;
  std::int64_t devices = 1;
  if (const std::size_t x = name.rfind('x'); x != std::string::npos && x > 0 && x + 1 < name.size() && !name.ends_with(".toml"))
    if (const auto count = parse_count(name.substr(x + 1)); count && name.find_first_not_of("0123456789", x + 1) == std::string::npos) {
      if (*count < 1 || *count > kMostDevices)
        throw UsageError(fmt::format("cluster '{}': the number of devices must be from 1 to {}", name, kMostDevices));
      base = name.substr(0, x), devices = *count;
    }
  Cluster out = read_cluster(files::find_example("clusters", "cluster", base));
  out.devices = static_cast<int>(devices);
  if (devices > 1) out.id = fmt::format("{}x{}", out.id, devices);
  return out;
}

}  // namespace longhaul::cluster
