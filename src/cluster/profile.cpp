#include "cluster/profile.h"

#include <fmt/format.h>

#include "files/read.h"
#include "files/toml.h"
#include "units/error.h"

namespace longhaul::cluster {
namespace {

constexpr int kVersion = 1;

template <typename T>
T required(const toml::table& table, const char* key, const std::filesystem::path& path) {
  const std::optional<T> value = table[key].value<T>();
  if (!value)
    throw UsageError(fmt::format("{}:{}: profile field {} is missing or of the wrong type; `longhaul calibrate --out {}` writes it anew",
                                 path.string(), table.source().begin.line, key, path.string()));
  return *value;
}

}  // namespace

const ComputeRates* Profile::find(const std::string& order, const std::string& family, int threads) const {
  for (const ComputeRates& rates : compute)
    if (rates.order == order && rates.family == family && rates.threads == threads) return &rates;
  return nullptr;
}

const MemoryRates* Profile::find_memory(int threads) const {
  for (const MemoryRates& rates : memory)
    if (rates.threads == threads) return &rates;
  return nullptr;
}

Profile read_profile(const std::filesystem::path& path) {
  const toml::table document = files::parse_toml(files::read_file(path), path.string());
  if (required<std::int64_t>(document, "version", path) != kVersion)
    throw UsageError(fmt::format("{}: profile version is not {}; `longhaul calibrate` writes a new one", path.string(), kVersion));
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
                               required<double>(row, "gemm_flops", path), required<double>(row, "attention_flops", path)});
  });
  rows("memory", [&](const toml::table& row) {
    profile.memory.push_back({static_cast<int>(required<std::int64_t>(row, "threads", path)), required<double>(row, "triad_bytes", path)});
  });
  return profile;
}

std::string to_toml(const Profile& profile) {
  std::string out = "# Measured rates of this machine (longhaul calibrate); FLOP/s and bytes/s.\n";
  out += fmt::format("version = {}\nprocessor = \"{}\"\nmeasured = \"{}\"\n", kVersion, profile.processor, profile.measured);
  for (const ComputeRates& r : profile.compute)
    out += fmt::format(
        "\n[[compute]]\norder = \"{}\"\nfamily = \"{}\"\nthreads = {}\npeak_flops = {:.4e}\ngemm_flops = {:.4e}\nattention_flops = "
        "{:.4e}\n",
        r.order, r.family, r.threads, r.peak_flops, r.gemm_flops, r.attention_flops);
  for (const MemoryRates& r : profile.memory)
    out += fmt::format("\n[[memory]]\nthreads = {}\ntriad_bytes = {:.4e}\n", r.threads, r.triad_bytes);
  return out;
}

}  // namespace longhaul::cluster
