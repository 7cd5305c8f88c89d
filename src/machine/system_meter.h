// machine/system_meter.h — what a run does to its machine: processor time of the process and of the whole machine, disk, temperature.
//
// Read from /proc, /sys and statvfs(3) at most once a second, so that steps of milliseconds do not pay for it.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>

namespace longhaul::machine {

struct SystemSample {
  double process_processors = 0;              ///< processors' worth of time that this process used since the sample before
  double machine_busy = 0;                    ///< share of all processors' time in which something ran, 0…1
  std::int64_t disk_free_bytes = 0;           ///< of the directory's filesystem, for this user
  std::int64_t disk_written_bytes = 0;        ///< by this process since its start
  std::optional<double> temperature_celsius;  ///< the hottest sensor of a processor; absent where the system shows none
};

class SystemMeter {
 public:
  /// @param directory  on the filesystem that is watched
  /// @param root       where proc and sys are; another one for tests
  explicit SystemMeter(std::filesystem::path directory, std::filesystem::path root = "/");

  /// The newest sample; read anew where the last one is a second old. Nothing in the first second.
  std::optional<SystemSample> sample();

  /// The hottest sensor under root/sys: of processors (coretemp, k10temp, zenpower), else of any thermal zone.
  static std::optional<double> temperature(const std::filesystem::path& root);

 private:
  using Clock = std::chrono::steady_clock;
  struct Reading {
    Clock::time_point at;
    double process_seconds = 0;
    std::int64_t busy_ticks = 0, all_ticks = 0;
  };
  Reading read() const;

  std::filesystem::path directory_, root_;
  Reading last_;
  std::optional<SystemSample> sample_;
};

}  // namespace longhaul::machine
