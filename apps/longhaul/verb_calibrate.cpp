// longhaul calibrate: what this machine reaches, as a profile that plan and report use.
#include <fmt/format.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "command_line.h"
#include "console.h"
#include "files/disk.h"
#include "ledger/record.h"
#include "machine.h"
#include "units/format.h"
#include "verbs.h"

namespace longhaul::app {
namespace {

nlohmann::json to_json(const cluster::Profile& profile) {
  nlohmann::json compute = nlohmann::json::array(), memory = nlohmann::json::array();
  for (const cluster::ComputeRates& r : profile.compute)
    compute.push_back({{"order", r.order},
                       {"family", r.family},
                       {"threads", r.threads},
                       {"peak_flops", r.peak_flops},
                       {"gemm_flops", r.gemm_flops},
                       {"attention_flops", r.attention_flops}});
  for (const cluster::MemoryRates& r : profile.memory) memory.push_back({{"threads", r.threads}, {"triad_bytes_per_s", r.triad_bytes}});
  return {{"processor", profile.processor}, {"measured", profile.measured}, {"compute", compute}, {"memory", memory}};
}

cluster::Profile calibrate(int max_threads, const train::Console& console) {
  cluster::Profile profile{processor_name(), ledger::utc_now(), {}, {}};
  for (kernels::Order order : {kernels::Order::dp2, kernels::Order::fma})
    for (kernels::Family family : {kernels::Family::avx512_bf16, kernels::Family::avx512, kernels::Family::avx2}) {
      if (!kernels::supported(family)) continue;
      for (int threads = 1; threads <= max_threads; threads = threads < max_threads ? std::min(2 * threads, max_threads) : threads + 1) {
        console.live(fmt::format("measuring {} {} {} threads", kernels::name(order), kernels::name(family), threads));
        profile.compute.push_back(measure_compute(order, family, threads));
      }
    }
  for (int threads = 1; threads <= max_threads; threads = threads < max_threads ? std::min(2 * threads, max_threads) : threads + 1)
    profile.memory.push_back(measure_memory(threads));
  return profile;
}

}  // namespace

int verb_calibrate(int argc, char** argv) {
  CommandLine line(
      "longhaul calibrate",
      "Measures this machine: register-only matmul peak, GEMM and attention rates by summation order, instruction set and threads;\n"
      "memory bandwidth. Kernels only, never a training step.\n"
      "Example: longhaul calibrate --out machine.toml && longhaul plan examples/demo.toml --profile machine.toml");
  std::string out;
  int threads = 0;
  bool json = false;
  line.option("--out", out, "write the profile here (TOML)");
  line.option("--threads", threads, "largest thread count (default: all usable processors)").positive();
  line.flag("--json", json, "one JSON document on stdout");
  if (const std::optional<int> code = line.parse(argc, argv)) return *code;

  const train::Console console = make_console();
  const cluster::Profile profile = calibrate(threads > 0 ? threads : train::thread_count(config::RunConfig{}), console);
  console.say(profile.processor);
  if (!out.empty()) files::write_file_atomically(files::Disk(), out, cluster::to_toml(profile));
  if (json) return std::cout << to_json(profile).dump(2) << '\n', 0;
  fmt::print("{:<5} {:<12} {:>7}  {:>16} {:>16} {:>16}\n", "order", "family", "threads", "register peak", "GEMM 1024³", "attention");
  for (const cluster::ComputeRates& r : profile.compute)
    fmt::print("{:<5} {:<12} {:>7}  {:>16} {:>16} {:>16}\n", r.order, r.family, r.threads, format_flops_rate(r.peak_flops),
               format_flops_rate(r.gemm_flops), format_flops_rate(r.attention_flops));
  for (const cluster::MemoryRates& r : profile.memory)
    fmt::print("memory triad, {} threads: {}\n", r.threads, format_byte_rate(r.triad_bytes));
  return 0;
}

}  // namespace longhaul::app
