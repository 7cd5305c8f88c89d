// cluster/profile.h — what this machine was measured to do: the rates that turn a program's FLOPs and bytes into seconds.
//
// Written by `longhaul calibrate` as TOML, read by `plan` and `report`. Every figure is a measurement of kernels and memory on the machine
// named, at the thread count, instruction set and summation order named; nothing in it comes from a whole training step.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace longhaul::cluster {

/// Rates of one (summation order, instruction set, threads).
struct ComputeRates {
  std::string order;   ///< fma, dp2
  std::string family;  ///< avx2, avx512, avx512_bf16
  int threads = 1;
  double peak_flops = 0;       ///< register-only multiply-adds, FLOP/s
  double gemm_flops = 0;       ///< the ordered GEMM on 1024×1024×1024 in caches, FLOP/s
  double attention_flops = 0;  ///< forward attention, T = 512, D = 64, not halved for causality, FLOP/s
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
  std::vector<MemoryRates> memory;

  /// Null when that combination was not measured.
  const ComputeRates* find(const std::string& order, const std::string& family, int threads) const;
  const MemoryRates* find_memory(int threads) const;
};

/// @throws UsageError naming file, line and field
Profile read_profile(const std::filesystem::path& path);
std::string to_toml(const Profile& profile);

}  // namespace longhaul::cluster
