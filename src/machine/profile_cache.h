// machine/profile_cache.h — what was measured of this machine, kept in the user's cache so that it is measured once.
//
// One file for each host, processor, version of the program, summation order, instruction set and number of threads: in another one of
// them kernels take other times. A file that is damaged, of another format or of another processor is as good as none, and where there is
// no home, or it cannot be written, nothing is kept: a cache is only a memory of what can be measured again, so none of this is an error.
#pragma once

#include <filesystem>
#include <optional>

#include "cluster/profile.h"
#include "kernels/context.h"

namespace longhaul::machine {

/// What rates are measured for.
struct Combination {
  kernels::Order order;
  kernels::Family family;
  int threads = 1;
};

/// $XDG_CACHE_HOME/longhaul, by default ~/.cache/longhaul (XDG Base Directory Specification: a relative path is ignored). Nothing where
/// neither variable names a directory.
std::optional<std::filesystem::path> user_cache();

class ProfileCache {
 public:
  explicit ProfileCache(std::optional<std::filesystem::path> directory = user_cache()) : directory_(std::move(directory)) {}

  /// Where the profile of a combination is kept on this machine; empty where none can be.
  std::filesystem::path path(const Combination& what) const;
  /// Its rates have one row, for this combination.
  std::optional<cluster::Profile> read(const Combination& what) const;
  /// Atomically: a reader sees the former profile or this one. @return whether it was kept
  bool keep(const Combination& what, const cluster::Profile& profile) const;

 private:
  std::optional<std::filesystem::path> directory_;
};

/// Since it was measured; 0 where the date is not one, or lies ahead.
Seconds age(const cluster::Profile& profile);

}  // namespace longhaul::machine
