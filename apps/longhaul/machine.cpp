#include "machine.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <vector>

#include "files/disk.h"
#include "kernels/attention.h"
#include "kernels/gemm.h"
#include "kernels/peak.h"
#include "ledger/record.h"
#include "program/build.h"
#include "units/error.h"

namespace longhaul::app {
namespace {

/// Best of several runs, after one that warms caches and pages; at least 0.2 s of work.
double best_seconds(const std::function<void()>& work) {
  using Clock = std::chrono::steady_clock;
  work();
  double best = 1e30, total = 0;
  for (int i = 0; i < 3 || total < 0.2; ++i) {
    const auto start = Clock::now();
    work();
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    best = std::min(best, seconds);
    total += seconds;
  }
  return best;
}

double gemm_rate(const kernels::Context& context) {
  constexpr std::int64_t n = 1024;
  const kernels::DType type = kernels::operand_type(context.order);
  const std::vector<std::byte> a(n * n * kernels::size_of(type)), b(a.size());
  std::vector<float> c(n * n);
  const double seconds = best_seconds([&] {
    kernels::gemm(context, kernels::row_major(a.data(), type, n, n), kernels::row_major(b.data(), type, n, n), c.data(), n, false);
  });
  return 2.0 * n * n * n / seconds;
}

double attention_rate(const kernels::Context& context) {
  constexpr kernels::AttentionShape shape{2, 512, 4, 4, 64};
  constexpr std::int64_t n = shape.sequences * shape.sequence_length, row = shape.heads * shape.head_dim;
  const std::vector<std::byte> q(n * row * kernels::size_of(kernels::operand_type(context.order)));
  std::vector<std::byte> o(q.size());
  const std::vector<std::int32_t> start(n, 0);
  std::vector<float> row_max(n * shape.heads), row_sum(n * shape.heads);
  std::vector<std::byte> workspace(kernels::attention_forward_workspace(shape, context.order, context.pool.threads()) + 64);
  void* aligned = workspace.data() + (64 - reinterpret_cast<std::uintptr_t>(workspace.data()) % 64) % 64;
  const double seconds = best_seconds([&] {
    kernels::attention_forward(context, shape, q.data(), q.data(), q.data(), start.data(), o.data(), row_max.data(), row_sum.data(),
                               aligned);
  });
  return 4.0 * n * shape.sequence_length * row / seconds;
}

}  // namespace

std::string processor_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);)
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  return "unknown x86-64";
}

cluster::ComputeRates measure_compute(kernels::Order order, kernels::Family family, int threads) {
  kernels::ThreadPool pool(threads);
  const kernels::Context context{pool, family, order};
  return {std::string(kernels::name(order)),
          std::string(kernels::name(family)),
          threads,
          kernels::matmul_peak(context),
          gemm_rate(context),
          attention_rate(context)};
}

cluster::MemoryRates measure_memory(int threads) {
  kernels::ThreadPool pool(threads);
  const kernels::Context context{pool, kernels::best_family(), kernels::Order::fma};
  return {threads, kernels::memory_bandwidth(context, kernels::bandwidth_array_bytes()).triad};
}

cluster::Profile measure(const config::RunConfig& config) {
  const int threads = train::thread_count(config);
  return {processor_name(),
          ledger::utc_now(),
          {measure_compute(train::order_of_run(config), train::family_of_run(config), threads)},
          {measure_memory(threads)}};
}

cluster::Profile profile_of_run(const config::RunConfig& config) {
  const std::filesystem::path path = std::filesystem::path(config.run.directory) / "profile.toml";
  if (std::filesystem::exists(path)) {
    cluster::Profile kept = cluster::read_profile(path);
    if (kept.processor == processor_name() && kept.find_memory(train::thread_count(config)) &&
        kept.find(std::string(kernels::name(train::order_of_run(config))), std::string(kernels::name(train::family_of_run(config))),
                  train::thread_count(config)))
      return kept;
  }
  cluster::Profile fresh = measure(config);
  files::write_file_atomically(files::Disk(), path, cluster::to_toml(fresh));
  return fresh;
}

plan::Account account_of(const config::RunConfig& config, const cluster::Profile& profile) {
  const int threads = train::thread_count(config);
  const kernels::Order order = train::order_of_run(config);
  const kernels::Family family = train::family_of_run(config);
  const model::ParamTable table(config.model);
  const program::Program step = program::build_step(config.model, table, train::step_options(config, threads));
  const program::Program evaluation = program::build_evaluation(config.model, table, train::evaluation_options(config, threads));

  plan::OutsideArena outside;
  outside.gemm_panels = Bytes(static_cast<std::int64_t>(kernels::gemm_workspace_bytes()));
  // Five 4-byte arrays and a mask a token; one batch in work, two prefetched, one being made (data/loader.h).
  outside.batches = Bytes(config.tokens_per_step() * (5 * 4 + 1) * 4);
  if (config.model.position == model::PositionKind::rope)
    outside.rotation_tables = Bytes(config.batch.sequence_length * config.model.head_dim * 4);

  const cluster::ComputeRates* compute = profile.find(std::string(kernels::name(order)), std::string(kernels::name(family)), threads);
  const cluster::MemoryRates* memory = profile.find_memory(threads);
  if (!compute || !memory)
    throw UsageError(fmt::format(
        "the profile of {} has no rates for order {}, family {}, {} threads; `longhaul calibrate` on that machine measures them",
        profile.processor, kernels::name(order), kernels::name(family), threads));
  const std::string source = fmt::format("measured {} on {}: {}, {}, {} threads", profile.measured, profile.processor, kernels::name(order),
                                         kernels::name(family), threads);
  return plan::make_account(config, step, std::max(step.arena, evaluation.arena), outside, *compute, *memory, source);
}

}  // namespace longhaul::app
