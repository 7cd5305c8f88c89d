#include "machine.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <vector>

#include "console.h"
#include "cost/kernel_calls.h"
#include "files/disk.h"
#include "kernels/product/gemm.h"
#include "kernels/product/peak.h"
#include "ledger/record.h"
#include "program/build.h"
#include "units/error.h"

namespace longhaul::app {
namespace {

const cluster::ComputeRates* find_rates(const cluster::Profile& profile, const config::RunConfig& config) {
  return profile.find(std::string(kernels::name(train::order_of_run(config))), std::string(kernels::name(train::family_of_run(config))),
                      train::thread_count(config));
}

/// What must be measured to know the run's step.
std::vector<cluster::KernelCall> calls_of_run(const config::RunConfig& config) {
  std::vector<cluster::KernelCall> calls = cost::distinct_calls(config.model, plan::batch_plan(config), step_of_run(config));
  std::transform(calls.begin(), calls.end(), calls.begin(), measurable);
  return calls;
}

/// The profile kept in a run's directory, if it is of this machine and version and knows every call of the run.
std::optional<cluster::Profile> kept_profile(const std::filesystem::path& path, const config::RunConfig& config) {
  if (!std::filesystem::exists(path)) return std::nullopt;
  try {
    cluster::Profile kept = cluster::read_profile(path);
    const cluster::ComputeRates* rates = find_rates(kept, config);
    const std::vector<cluster::KernelCall> calls = calls_of_run(config);
    const bool complete = rates && std::all_of(calls.begin(), calls.end(), [&](const auto& call) { return rates->kernels.measured(call); });
    if (complete && kept.processor == processor_name()) return kept;
  } catch (const UsageError&) {  // another version, or damaged: it is only a memory of what can be measured again
  }
  return std::nullopt;
}

}  // namespace

std::string processor_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);)
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  return "unknown x86-64";
}

void warn_of_threads(const config::RunConfig& config) {
  const int processors = train::usable_processors(), threads = train::thread_count(config);
  if (threads > processors)
    complain(
        fmt::format("warning: run.threads = {}, but this process may use {} processor{}: the threads will wait for each other; "
                    "run.threads = 0 takes one a processor",
                    threads, processors, processors == 1 ? "" : "s"));
}

cluster::ComputeRates measure_compute(kernels::Order order, kernels::Family family, int threads,
                                      const std::vector<cluster::KernelCall>& calls, const Progress& progress) {
  kernels::ThreadPool pool(threads);
  const kernels::Context context{pool, family, order};
  return {std::string(kernels::name(order)), std::string(kernels::name(family)), threads, kernels::matmul_peak(context),
          measure_kernels(context, calls, progress)};
}

cluster::MemoryRates measure_memory(int threads) {
  kernels::ThreadPool pool(threads);
  const kernels::Context context{pool, kernels::best_family(), kernels::Order::fma};
  return {threads, kernels::memory_bandwidth(context, kernels::bandwidth_array_bytes()).triad};
}

cluster::Profile measure(const config::RunConfig& config, const Progress& progress) {
  return {processor_name(),
          ledger::utc_now(),
          {measure_compute(train::order_of_run(config), train::family_of_run(config), train::thread_count(config), calls_of_run(config),
                           progress)}};
}

cluster::Profile profile_of_run(const config::RunConfig& config, const Progress& progress) {
  const std::filesystem::path path = std::filesystem::path(config.run.directory) / "profile.toml";
  if (std::optional<cluster::Profile> kept = kept_profile(path, config)) return *kept;
  cluster::Profile fresh = measure(config, progress);
  files::write_file_atomically(files::Disk(), path, cluster::to_toml(fresh));
  return fresh;
}

program::Program step_of_run(const config::RunConfig& config) {
  return program::build_step(config.model, model::ParamTable(config.model), train::step_options(config, train::thread_count(config)));
}

const cluster::ComputeRates& rates_of_run(const cluster::Profile& profile, const config::RunConfig& config) {
  if (const cluster::ComputeRates* rates = find_rates(profile, config)) return *rates;
  const int threads = train::thread_count(config);
  const std::string_view order = kernels::name(train::order_of_run(config)), family = kernels::name(train::family_of_run(config));
  throw UsageError(
      fmt::format("the profile of {} has no rates for order {}, family {}, {} threads (run.threads); `longhaul calibrate --family {} "
                  "--threads {}` on that machine measures them",
                  profile.processor, order, family, threads, family, threads));
}

plan::Account account_of(const config::RunConfig& config, const cluster::Profile& profile) {
  const model::ParamTable table(config.model);
  const program::Program step = step_of_run(config);
  const program::Program evaluation =
      program::build_evaluation(config.model, table, train::evaluation_options(config, train::thread_count(config)));

  plan::OutsideArena outside;
  outside.gemm_panels = Bytes(static_cast<std::int64_t>(kernels::gemm_workspace_bytes()));
  // Five 4-byte arrays and a mask a token; one batch in work, two prefetched, one being made (data/loader.h).
  outside.batches = Bytes(config.tokens_per_step() * (5 * 4 + 1) * 4);
  if (config.model.position == model::PositionKind::rope)
    outside.rotation_tables = Bytes(config.batch.sequence_length * config.model.head_dim * 4);

  const cluster::ComputeRates& compute = rates_of_run(profile, config);
  const std::string source = fmt::format("measured {} on {}: {}, {}, {} threads", profile.measured, profile.processor, compute.order,
                                         compute.family, compute.threads);
  return plan::make_account(config, step, std::max(step.arena, evaluation.arena), outside, compute, source);
}

}  // namespace longhaul::app
