// cluster/profile.h — what this machine was measured to do: the seconds of kernels that a program's seconds are made of.
//
// Written by `longhaul calibrate` as TOML, read by `plan` and `train`. Every figure is a measurement of kernels and memory on the machine
// named, at the thread count, instruction set and summation order named; nothing in it comes from a whole training step.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "cluster/kernel_rates.h"

namespace longhaul::cluster {

/// Rates of one (summation order, instruction set, threads).
struct ComputeRates {
  std::string order;   ///< fma, dp2
  std::string family;  ///< avx2, avx512, avx512_bf16
  int threads = 1;
  double peak_flops = 0;  ///< register-only multiply-adds, FLOP/s
  KernelRates kernels{};
};

/// Streaming bandwidth, bytes per second read plus written.
struct MemoryRates {
  int threads = 1;
  double triad_bytes = 0;
};

struct Profile {
  std::string processor;  ///< as the system names it
  std::string measured;   ///< UTC
  std::vector<ComputeRates> compute;
  std::vector<MemoryRates> memory{};  ///< of `calibrate` alone

  /// Null when that combination was not measured.
  const ComputeRates* find(const std::string& order, const std::string& family, int threads) const;
};

/// @throws UsageError naming file, line and field; also for another version of the format, with what writes it anew
Profile read_profile(const std::filesystem::path& path);
std::string to_toml(const Profile& profile);

}  // namespace longhaul::cluster
