// cluster/catalogue.h — hardware as data: accelerators and systems with their peaks, memory, links and sources (examples/clusters/*.toml).
//
// A cluster is an accelerator, how many, how many share a node, and what lies between: the scale-up link inside a node, the network
// between nodes. Bandwidths are bytes per second in one direction. Nothing in it is measured by this project; what is comes from
// `longhaul calibrate` (cluster/profile.h) and the fits (evidence/fit.h).
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "units/units.h"

namespace longhaul::cluster {

struct Accelerator {
  std::string id;    ///< its file's name: "h100"
  std::string name;  ///< "H100 SXM"
  std::string source, note;
  std::map<std::string, double> peak_flops;    ///< by dtype (bf16, fp8), dense, FLOP/s
  std::map<std::string, double> matmul_flops;  ///< best measured matmul by dtype, where published
  std::optional<Bytes> memory;
  std::optional<double> memory_bandwidth;
  std::optional<double> link;  ///< scale-up bandwidth of one device

  /// FLOP/s of a dtype. Throws UsageError that names the ones it has.
  double peak(std::string_view dtype) const;
};

struct Cluster {
  std::string id;  ///< "h100x64"
  Accelerator accelerator;
  int devices = 1;
  int devices_per_node = 8;
  std::optional<double> network;  ///< of a whole node
  std::string network_source;

  int nodes() const { return (devices + devices_per_node - 1) / devices_per_node; }
};

/// Everything in the catalogue, one device of each.
std::vector<Cluster> catalogue();
/// "h100", "h100x64", "p5x128": NAME or NAMExDEVICES; NAME may be a path to a TOML file of the same form.
/// Throws UsageError with the nearest name, or naming file, line and field.
Cluster find_cluster(const std::string& name);

}  // namespace longhaul::cluster
