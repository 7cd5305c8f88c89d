// longhaul calibrate: what this machine reaches, as a profile that plan and report use.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "command_line.h"
#include "console.h"
#include "files/disk.h"
#include "ledger/record.h"
#include "machine/measure.h"
#include "machine/process.h"
#include "train/engine.h"
#include "units/format.h"
#include "verbs.h"

namespace longhaul::app {
namespace {

nlohmann::json to_json(const cluster::Profile& profile) {
  nlohmann::json compute = nlohmann::json::array(), memory = nlohmann::json::array();
  for (const cluster::ComputeRates& r : profile.compute) {
    nlohmann::json points = nlohmann::json::array();
    for (const cluster::KernelPoint& point : r.kernels.points()) {
      const cluster::KernelInfo& kernel = cluster::info(point.call.kernel);
      nlohmann::json shape;
      for (std::size_t axis = 0; axis < kernel.axes.size(); ++axis) shape[std::string(kernel.axes[axis])] = point.call.shape[axis];
      points.push_back({{"kernel", kernel.name}, {"shape", shape}, {"seconds", point.time.value}});
    }
    compute.push_back(
        {{"order", r.order}, {"family", r.family}, {"threads", r.threads}, {"peak_flops", r.peak_flops}, {"kernels", points}});
  }
  for (const cluster::MemoryRates& r : profile.memory) memory.push_back({{"threads", r.threads}, {"triad_bytes_per_s", r.triad_bytes}});
  return {{"processor", profile.processor}, {"measured", profile.measured}, {"compute", compute}, {"memory", memory}};
}

/// 1, 2, 4 … and the most.
std::vector<int> thread_counts(int most) {
  std::vector<int> counts;
  for (int threads = 1; threads < most; threads *= 2) counts.push_back(threads);
  counts.push_back(most);
  return counts;
}

cluster::Profile calibrate(const std::vector<kernels::Order>& orders, kernels::Family family, int most_threads,
                           const train::Console& console) {
  cluster::Profile profile{machine::processor_name(), ledger::utc_now(), {}, {}};
  const std::vector<cluster::KernelCall> calls = machine::calibration_calls();
  for (kernels::Order order : orders)
    for (int threads : thread_counts(most_threads)) {
      const std::string what = fmt::format("{} {} {} threads: ", kernels::name(order), kernels::name(family), threads);
      console.begin(what + "matmul peak");
      profile.compute.push_back(
          machine::measure_compute({order, family, threads}, calls, {[&](const std::string& line) { console.live(what + line); }}));
    }
  for (int threads : thread_counts(most_threads)) profile.memory.push_back(machine::measure_memory(threads));
  return profile;
}

/// Each combination's rates, with the memory's on as many threads, into the user's cache, in place of what was there.
bool keep(const cluster::Profile& profile, const std::vector<kernels::Order>& orders, kernels::Family family) {
  const machine::ProfileCache cache;
  bool kept = true;
  for (kernels::Order order : orders)
    for (const cluster::MemoryRates& memory : profile.memory) {
      const cluster::ComputeRates* rates =
          profile.find(std::string(kernels::name(order)), std::string(kernels::name(family)), memory.threads);
      kept = cache.keep({order, family, memory.threads}, {profile.processor, profile.measured, {*rates}, {memory}}) && kept;
    }
  return kept;
}

/// FLOP/s of the largest measured product of a kernel.
double product_rate(const cluster::KernelRates& rates, cluster::Kernel kernel) {
  double rate = 0, largest = 0;
  for (const cluster::KernelPoint& point : rates.points())
    if (point.call.kernel == kernel && cluster::work(point.call) > largest) {
      largest = cluster::work(point.call);
      rate = 2 * largest / point.time.value;
    }
  return rate;
}

}  // namespace

int verb_calibrate(int argc, char** argv) {
  CommandLine line(
      "longhaul calibrate",
      "Measures this machine: register-only matmul peak and the seconds of every kernel at shapes from small to large, by summation order\n"
      "and threads; memory bandwidth. Kernels only, never a training step. About 10 s for each order and number of threads.\n"
      "The profile goes to the user's cache, from where `plan` and `train` take it.\n"
      "Example: longhaul calibrate --out machine.toml && longhaul plan examples/demo.toml --profile machine.toml");
  std::string out, order = "both", family = "auto";
  int threads = 0;
  bool json = false;
  line.option("--out", out, "write the profile here (TOML) instead of into the user's cache");
  line.option("--threads", threads, "largest thread count (default: all usable processors)").positive();
  line.option("--order", order, "summation order: dp2 (bf16 runs), fma (fp32 runs), both (default)").one_of({"dp2", "fma", "both"});
  line.option("--family", family, "instruction set: auto (default: the fastest here), avx2, avx512, avx512_bf16");
  line.flag("--json", json, "one JSON document on stdout");
  if (const std::optional<int> code = line.parse(argc, argv)) return *code;

  std::vector<kernels::Order> orders;
  for (kernels::Order each : {kernels::Order::dp2, kernels::Order::fma})
    if (order == "both" || order == kernels::name(each)) orders.push_back(each);
  config::RunConfig chosen;
  chosen.run.family = family;
  chosen.run.threads = threads;
  const train::Console console = make_console();
  const kernels::Family instructions = train::family_of_run(chosen);
  const cluster::Profile profile = calibrate(orders, instructions, train::thread_count(chosen), console);
  console.say(profile.processor);
  if (!out.empty())
    files::write_named_file(out, cluster::to_toml(profile));
  else if (!keep(profile, orders, instructions))
    console.say(
        "the profile was not kept: there is no cache folder that can be written ($XDG_CACHE_HOME, ~/.cache); --out FILE writes one");
  if (json) return print_json(to_json(profile)), 0;
  using cluster::Kernel;
  fmt::print("largest shapes measured:\n{:<5} {:<12} {:>7}  {:>16} {:>16} {:>16} {:>16}\n", "order", "family", "threads", "register peak",
             "GEMM forward", "weight gradient", "kernel calls");
  for (const cluster::ComputeRates& r : profile.compute)
    fmt::print("{:<5} {:<12} {:>7}  {:>16} {:>16} {:>16} {:>16}\n", r.order, r.family, r.threads, format_flops_rate(r.peak_flops),
               format_flops_rate(product_rate(r.kernels, Kernel::gemm_nt)), format_flops_rate(product_rate(r.kernels, Kernel::gemm_tn)),
               r.kernels.points().size());
  for (const cluster::MemoryRates& r : profile.memory)
    fmt::print("memory triad, {} threads: {}\n", r.threads, format_byte_rate(r.triad_bytes));
  return 0;
}

}  // namespace longhaul::app
