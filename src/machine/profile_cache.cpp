#include "machine/profile_cache.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <ctime>

#include "files/disk.h"
#include "files/read.h"
#include "machine/process.h"
#include "units/error.h"

namespace longhaul::machine {
namespace {

namespace fs = std::filesystem;

/// An absolute path in an environment variable.
std::optional<fs::path> directory_in(const char* variable) {
  const char* value = std::getenv(variable);
  if (!value || !fs::path(value).is_absolute()) return std::nullopt;
  return fs::path(value);
}

bool is_of(const cluster::Profile& profile, const Combination& what) {
  return profile.processor == processor_name() && profile.compute.size() == 1 &&
         profile.find(std::string(kernels::name(what.order)), std::string(kernels::name(what.family)), what.threads) != nullptr;
}

}  // namespace

std::optional<fs::path> user_cache() {
  if (const auto cache = directory_in("XDG_CACHE_HOME")) return *cache / "longhaul";
  if (const auto home = directory_in("HOME")) return *home / ".cache" / "longhaul";
  return std::nullopt;
}

fs::path ProfileCache::path(const Combination& what) const {
  if (!directory_) return {};
  const std::string host = host_name();
  const std::string rates = fmt::format("{}-{}-{}", kernels::name(what.order), kernels::name(what.family), what.threads);
  const std::string key = files::sha256_hex(fmt::format("{}\n{}\n{}\n{}\n", host, processor_name(), LONGHAUL_VERSION, rates)).substr(0, 16);
  std::string readable = host;  // for people; the key tells hosts apart
  std::replace_if(
      readable.begin(), readable.end(), [](unsigned char c) { return !std::isalnum(c) && c != '-'; }, '_');
  return *directory_ / "profiles" / fmt::format("{}-{}-{}.toml", readable, rates, key);
}

std::optional<cluster::Profile> ProfileCache::read(const Combination& what) const {
  const fs::path file = path(what);
  std::error_code none;
  if (file.empty() || !fs::is_regular_file(file, none)) return std::nullopt;
  try {
    cluster::Profile profile = cluster::read_profile(file);
    if (is_of(profile, what)) return profile;
  } catch (const Error&) {  // another format, damaged, or not to be read
  }
  return std::nullopt;
}

bool ProfileCache::keep(const Combination& what, const cluster::Profile& profile) const {
  const fs::path file = path(what);
  if (file.empty()) return false;
  std::error_code failed;
  fs::create_directories(file.parent_path(), failed);
  if (failed) return false;
  try {
    files::write_file_atomically(files::Disk(), file, cluster::to_toml(profile));
  } catch (const Error&) {
    return false;
  }
  return true;
}

Seconds age(const cluster::Profile& profile) {
  std::tm utc{};
  if (!strptime(profile.measured.c_str(), "%Y-%m-%dT%H:%M:%S", &utc)) return Seconds(0);
  return Seconds(std::max(0.0, std::difftime(std::time(nullptr), timegm(&utc))));
}

}  // namespace longhaul::machine
