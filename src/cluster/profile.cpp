#include "cluster/profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "files/read.h"
#include "files/toml.h"
#include "units/error.h"

namespace longhaul::cluster {
namespace {

constexpr int kVersion = 2;

template <typename T>
T required(const toml::table& table, const char* key, const std::filesystem::path& path) {
  const std::optional<T> value = table[key].value<T>();
  if (!value)
    throw UsageError(fmt::format("{}:{}: profile field {} is missing or of the wrong type; `longhaul calibrate --out {}` writes it anew",
                                 path.string(), table.source().begin.line, key, path.string()));
  return *value;
}

/// [compute.seconds]: each kernel's points, its shape and then the seconds of a call.
KernelRates read_kernels(const toml::table& row, const std::filesystem::path& path) {
  KernelRates rates;
  const toml::table* seconds = row["seconds"].as_table();
  if (!seconds) return rates;
  for (const auto& [key, points] : *seconds) {
    const auto fail = [&, name = std::string_view(key.str()), line = points.source().begin.line](const char* what) {
      throw UsageError(fmt::format("{}:{}: compute.seconds.{}: {}; `longhaul calibrate --out {}` writes the profile anew", path.string(),
                                   line, name, what, path.string()));
    };
    const std::optional<Kernel> kernel = kernel_named(key.str());
    if (!kernel) fail("no kernel of this name");
    const std::size_t axes = info(*kernel).axes.size();
    if (!points.is_array()) fail("not an array of points");
    for (const toml::node& node : *points.as_array()) {
      const toml::array* point = node.as_array();
      if (!point || point->size() != axes + 1) fail("a point is not a shape and its seconds");
      KernelCall call{*kernel};
      for (std::size_t i = 0; i < axes; ++i) call.shape[i] = point->get(i)->value<std::int64_t>().value_or(0);
      const double time = point->get(axes)->value<double>().value_or(0);
      if (*std::min_element(call.shape.begin(), call.shape.end()) < 1 || !(time > 0) || !std::isfinite(time))
        fail("a point has a number that is not positive");
      rates.add({call, Seconds(time)});
    }
  }
  return rates;
}

/// Numbers are written so that they read back to the same bits: a plan from a kept profile is the one that was made when it was measured.
std::string kernels_toml(const KernelRates& rates) {
  std::string out = "[compute.seconds]\n";
  for (int i = 0; i < kKernels; ++i) {
    const KernelInfo& kernel = info(static_cast<Kernel>(i));
    std::string points;
    for (const KernelPoint& point : rates.points()) {
      if (point.call.kernel != kernel.kernel) continue;
      points += "  [";
      for (std::size_t axis = 0; axis < kernel.axes.size(); ++axis) points += fmt::format("{}, ", point.call.shape[axis]);
      points += fmt::format("{}],\n", point.time.value);
    }
    if (!points.empty()) out += fmt::format("{} = [  # {}, seconds\n{}]\n", kernel.name, fmt::join(kernel.axes, ", "), points);
  }
  return out;
}

}  // namespace

const ComputeRates* Profile::find(const std::string& order, const std::string& family, int threads) const {
  for (const ComputeRates& rates : compute)
    if (rates.order == order && rates.family == family && rates.threads == threads) return &rates;
  return nullptr;
}

Profile read_profile(const std::filesystem::path& path) {
  const toml::table document = files::parse_toml(files::read_input(path), path.string());
  if (required<std::int64_t>(document, "version", path) != kVersion)
    throw UsageError(
        fmt::format("{}: this profile is not of version {}, which has the seconds of kernels by shape; `longhaul calibrate --out {}` "
                    "measures it anew",
                    path.string(), kVersion, path.string()));
  Profile profile;
  profile.processor = required<std::string>(document, "processor", path);
  profile.measured = required<std::string>(document, "measured", path);
  const auto rows = [&](const char* key, auto&& read) {
    if (const toml::array* array = document[key].as_array())
      for (const toml::node& node : *array)
        if (const toml::table* row = node.as_table()) read(*row);
  };
  rows("compute", [&](const toml::table& row) {
    profile.compute.push_back({required<std::string>(row, "order", path), required<std::string>(row, "family", path),
                               static_cast<int>(required<std::int64_t>(row, "threads", path)), required<double>(row, "peak_flops", path),
                               read_kernels(row, path)});
  });
  rows("memory", [&](const toml::table& row) {
    profile.memory.push_back({static_cast<int>(required<std::int64_t>(row, "threads", path)), required<double>(row, "triad_bytes", path)});
  });
  return profile;
}

std::string to_toml(const Profile& profile) {
  std::string out = "# What this machine was measured to do (longhaul calibrate): FLOP/s, bytes/s, seconds of kernels by shape.\n";
  out += fmt::format("version = {}\nprocessor = \"{}\"\nmeasured = \"{}\"\n", kVersion, profile.processor, profile.measured);
  for (const ComputeRates& r : profile.compute)
    out += fmt::format("\n[[compute]]\norder = \"{}\"\nfamily = \"{}\"\nthreads = {}\npeak_flops = {}\n", r.order, r.family, r.threads,
                       r.peak_flops) +
           kernels_toml(r.kernels);
  for (const MemoryRates& r : profile.memory)
    out += fmt::format("\n[[memory]]\nthreads = {}\ntriad_bytes = {}\n", r.threads, r.triad_bytes);
  return out;
}

}  // namespace longhaul::cluster
