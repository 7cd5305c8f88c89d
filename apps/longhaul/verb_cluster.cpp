// longhaul cluster: the hardware catalogue.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cluster/catalogue.h"
#include "command_line.h"
#include "console.h"
#include "units/format.h"
#include "verbs.h"

namespace longhaul::app {
namespace {

nlohmann::json optional(const std::optional<double>& value) { return value ? nlohmann::json(*value) : nlohmann::json(); }

nlohmann::json to_json(const cluster::Cluster& c) {
  const cluster::Accelerator& a = c.accelerator;
  return {{"id", c.id},
          {"accelerator",
           {{"id", a.id},
            {"name", a.name},
            {"source", a.source},
            {"note", a.note},
            {"peak_flops", a.peak_flops},
            {"matmul_flops", a.matmul_flops},
            {"memory_bytes", a.memory ? nlohmann::json(a.memory->value) : nlohmann::json()},
            {"memory_bytes_per_s", optional(a.memory_bandwidth)},
            {"link_bytes_per_s", optional(a.link)}}},
          {"devices", c.devices},
          {"devices_per_node", c.devices_per_node},
          {"node_network_bytes_per_s", optional(c.network)},
          {"network_source", c.network_source}};
}

void list(const std::vector<cluster::Cluster>& all) {
  fmt::print("{:<12}{:<24}{:>18}{:>12}{:>12}{:>12}{:>8}{:>14}\n", "id", "name", "bf16 peak", "memory", "bandwidth", "link", "node",
             "network");
  const auto rate = [](const std::optional<double>& value) { return value ? format_byte_rate(*value) : std::string("-"); };
  for (const cluster::Cluster& c : all) {
    const cluster::Accelerator& a = c.accelerator;
    const auto peak = a.peak_flops.find("bf16");
    fmt::print("{:<12}{:<24}{:>18}{:>12}{:>12}{:>12}{:>8}{:>14}\n", c.id, a.name,
               peak == a.peak_flops.end() ? "-" : format_flops_rate(peak->second), a.memory ? format(*a.memory) : "-",
               rate(a.memory_bandwidth), rate(a.link), c.devices_per_node, rate(c.network));
  }
}

void show(const cluster::Cluster& c) {
  const cluster::Accelerator& a = c.accelerator;
  const auto line = [](const std::string& what, const std::string& value) { fmt::print("  {:<22}{}\n", what, value); };
  fmt::print("{}: {} devices of {}\n", c.id, c.devices, a.name);
  for (const auto& [dtype, flops] : a.peak_flops) line(dtype + " peak, dense", format_flops_rate(flops));
  for (const auto& [dtype, flops] : a.matmul_flops) line(dtype + " best matmul", format_flops_rate(flops) + ", measured");
  if (a.memory) line("memory", format(*a.memory));
  if (a.memory_bandwidth) line("memory bandwidth", format_byte_rate(*a.memory_bandwidth));
  if (a.link) line("link in a node", format_byte_rate(*a.link) + ", one direction, one device");
  line("node", fmt::format("{} devices", c.devices_per_node));
  if (c.network) line("network of a node", format_byte_rate(*c.network) + ", one direction");
  line("source", a.source);
  if (c.network && c.network_source != a.source) line("network's source", c.network_source);
  if (!a.note.empty()) line("note", a.note);
}

}  // namespace

int verb_cluster(int argc, char** argv) {
  CommandLine line("longhaul cluster",
                   "The hardware catalogue (examples/clusters): peaks, memory, links, each with its source.\n"
                   "Example: longhaul cluster list\n"
                   "         longhaul cluster show h100x64 --json");
  bool list_json = false, show_json = false;
  std::string name;
  CommandLine all = line.verb("list", "every accelerator and system");
  all.flag("--json", list_json, "one JSON document on stdout");
  CommandLine one = line.verb("show", "one of them");
  one.option("NAME", name, "of the catalogue or a TOML file of the same form, with or without a count: h100, h100x64").required();
  one.flag("--json", show_json, "one JSON document on stdout");
  if (const std::optional<int> code = line.parse(argc, argv)) return *code;

  if (one.parsed()) {
    const cluster::Cluster found = cluster::find_cluster(name);
    if (show_json)
      print_json(to_json(found));
    else
      show(found);
    return 0;
  }
  const std::vector<cluster::Cluster> clusters = cluster::catalogue();
  if (!list_json) return list(clusters), 0;
  nlohmann::json document = {{"clusters", nlohmann::json::array()}};
  for (const cluster::Cluster& c : clusters) document["clusters"].push_back(to_json(c));
  print_json(document);
  return 0;
}

}  // namespace longhaul::app
