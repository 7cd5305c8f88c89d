// files/run_lock.h — one writer per run directory.
//
// An flock on run/LOCK, which the kernel releases when the holder ends in any way, so a stale lock cannot exist. The file names the holder
// to a second writer (host, pid, boot id, since when) and counts the launches of the run, which number the ledger's events. The descriptor
// is close-on-exec; a forked child shares the lock until it exits.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "files/disk.h"

namespace longhaul::files {

class RunLock {
 public:
  /// Creates the directory if needed (parents too) and takes the lock.
  /// @throws UsageError naming the holder when another writer has it
  explicit RunLock(const std::filesystem::path& run_directory);
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

  const std::filesystem::path& run_directory() const { return run_directory_; }
  /// 1 for the first writer of this directory, then 2, …
  std::int64_t launch() const { return launch_; }

 private:
  std::filesystem::path run_directory_;
  int descriptor_ = -1;
  std::int64_t launch_ = 1;
};

}  // namespace longhaul::files
