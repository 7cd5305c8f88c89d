#include "run_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "console.h"
#include "cost/kernel_calls.h"
#include "files/disk.h"
#include "kernels/product/gemm.h"
#include "machine/process.h"
#include "program/build.h"
#include "report/plan_document.h"
#include "train/engine.h"
#include "units/error.h"

namespace longhaul::app {
namespace {

/// Nothing where there is none, or it is damaged.
std::optional<report::PlanDocument> newest_plan(const std::filesystem::path& directory) {
  try {
    return report::newest_plan(directory);
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace

void warn_of_threads(const config::RunConfig& config) {
  const int processors = machine::usable_processors(), threads = train::thread_count(config);
  const int ranks = program::layout_of(config.parallel).world();
  if (ranks > 1 && ranks * threads > processors)
    complain(
        fmt::format("warning: {} ranks of {} thread{} on {} processor{}: they wait for each other, so this is slow; the result is the "
                    "same for every number of ranks",
                    ranks, threads, threads == 1 ? "" : "s", processors, processors == 1 ? "" : "s"));
  else if (threads > processors)
    complain(
        fmt::format("warning: run.threads = {}, but this process may use {} processor{}: the threads will wait for each other; "
                    "run.threads = 0 takes one a processor",
                    threads, processors, processors == 1 ? "" : "s"));
}

machine::Combination combination_of(const config::RunConfig& config) {
  return {train::order_of_run(config), train::family_of_run(config), train::thread_count(config)};
}

program::Program step_of_run(const config::RunConfig& config) {
  return program::build_step(config.model, model::ParamTable(config.model), train::step_options(config, train::thread_count(config)));
}

std::vector<cluster::KernelCall> calls_of(const config::RunConfig& config, const program::Program& step) {
  return cost::distinct_calls(config.model, plan::batch_plan(config), step);
}

const cluster::ComputeRates& rates_of_run(const cluster::Profile& profile, const config::RunConfig& config) {
  const machine::Combination what = combination_of(config);
  const std::string_view order = kernels::name(what.order), family = kernels::name(what.family);
  if (const cluster::ComputeRates* rates = profile.find(std::string(order), std::string(family), what.threads)) return *rates;
  throw UsageError(
      fmt::format("the profile of {} has no rates for order {}, family {}, {} threads (run.threads); `longhaul calibrate --family {} "
                  "--threads {}` on that machine measures them",
                  profile.processor, order, family, what.threads, family, what.threads));
}

plan::Account account_of(const config::RunConfig& config, const program::Program& step, Bytes arena,
                         const std::optional<cluster::Profile>& profile) {
  plan::OutsideArena outside;
  outside.gemm_panels = Bytes(static_cast<std::int64_t>(kernels::gemm_workspace_bytes()));
  // Five 4-byte arrays and a mask a token; one batch in work, two prefetched, one being made (data/loader.h).
  outside.batches = Bytes(config.tokens_per_step() * (5 * 4 + 1) * 4);
  if (config.model.position == model::PositionKind::rope)
    outside.rotation_tables = Bytes(config.batch.sequence_length * config.model.head_dim * 4);

  if (!profile) return plan::make_account(config, step, arena, outside);
  const cluster::ComputeRates& compute = rates_of_run(*profile, config);
  const std::string source = fmt::format("measured {} on {}: {}, {}, {} threads", profile->measured, profile->processor, compute.order,
                                         compute.family, compute.threads);
  return plan::make_account(config, step, arena, outside, compute, source);
}

Bytes arena_of_run(const config::RunConfig& config, const program::Program& step) {
  const program::BuildOptions options = train::evaluation_options(config, train::thread_count(config));
  return std::max(step.arena, program::build_evaluation(config.model, model::ParamTable(config.model), options).arena);
}

std::string keep_plan(const std::filesystem::path& directory, std::int64_t launch, const plan::Account& account) {
  const nlohmann::json document = plan::to_json(account);
  std::string name = "plan.json";
  if (std::filesystem::exists(directory / name)) {
    const std::optional<report::PlanDocument> newest = newest_plan(directory);
    if (!account.time || (newest && newest->document == document)) return newest ? newest->file : name;
    name = fmt::format("plan-{}.json", launch);
  }
  if (!std::filesystem::exists(directory / name)) files::write_file_atomically(files::Disk(), directory / name, document.dump(2) + "\n");
  return name;
}

}  // namespace longhaul::app
