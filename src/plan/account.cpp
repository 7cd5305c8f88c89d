#include "plan/account.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "cost/kernel_calls.h"
#include "units/error.h"
#include "units/format.h"

namespace longhaul::plan {
namespace {

using cluster::Kernel;
using cluster::KernelCall;

/// Times of calls, each looked up once.
class MachineClock {
 public:
  explicit MachineClock(const cluster::ComputeRates& compute) : compute_(compute) {}
  Seconds operator()(const KernelCall& call) {
    const auto [found, fresh] = times_.try_emplace(call);
    if (!fresh) return found->second;
    const std::optional<Seconds> time = compute_.kernels.time(call);
    if (!time)
      throw UsageError(
          fmt::format("the profile has no seconds of the kernel {} for order {}, family {}, {} threads; `longhaul calibrate` measures them",
                      cluster::info(call.kernel).name, compute_.order, compute_.family, compute_.threads));
    return found->second = *time;
  }

 private:
  const cluster::ComputeRates& compute_;
  std::map<KernelCall, Seconds> times_;
};

Seconds& part_of(TimeAccount& time, Kernel kernel) {
  switch (kernel) {
    case Kernel::gemm_nn:
    case Kernel::gemm_nt:
    case Kernel::gemm_tn:
      return time.gemm;
    case Kernel::attention_forward:
    case Kernel::attention_backward:
      return time.attention;
    case Kernel::loss:
      return time.loss;
    default:
      return time.memory_bound;
  }
}

/// Calls each(operation, kernel, seconds) for what every operation of the program calls.
template <typename Each>
void price(const config::RunConfig& config, const program::Program& step, const cluster::ComputeRates& compute, Each each) {
  MachineClock clock(compute);
  const program::BatchPlan batch = batch_plan(config);
  for (std::size_t i = 0; i < step.operations.size(); ++i)
    for (const cost::RepeatedCall& repeated : cost::kernel_calls(config.model, batch, step, step.operations[i]))
      each(i, repeated.call.kernel, clock(repeated.call) * repeated.times);
}

TimeAccount time_of(const config::RunConfig& config, const program::Program& step, const cluster::ComputeRates& compute) {
  TimeAccount time;
  time.peak_flops = compute.peak_flops;
  time.threads = compute.threads;
  price(config, step, compute, [&](std::size_t i, Kernel kernel, Seconds seconds) {
    const program::Operation& op = step.operations[i];
    part_of(time, kernel) += seconds;
    time.by_operation[program::short_name(op)] += seconds;
    time.by_phase[std::string(program::ledger_phase(op))] += seconds;
  });
  return time;
}

/// Of each of at most kMost equal parts of the step the operation at which most lives. One pass over buffers and operations: the first step
/// of a run waits for its plan.
MemoryOverStep memory_over(const program::Program& step) {
  MemoryOverStep out;
  out.operations = step.operations.size();
  std::vector<Bytes> live(program::kMemoryLines);
  std::vector<std::vector<std::pair<std::size_t, Bytes>>> changes(out.operations + 1);  // before each operation, by line
  for (const program::Buffer& buffer : step.buffers) {
    const auto line = static_cast<std::size_t>(buffer.line);
    if (buffer.persistent) {
      live[line] += buffer.size();
    } else if (buffer.first_op >= 0) {  // else no operation uses it
      changes[static_cast<std::size_t>(buffer.first_op)].emplace_back(line, buffer.size());
      changes[static_cast<std::size_t>(buffer.last_op) + 1].emplace_back(line, Bytes(-buffer.size().value));
    }
  }
  const std::size_t part = (out.operations + MemoryOverStep::kMost - 1) / MemoryOverStep::kMost;
  Bytes most;
  for (std::size_t i = 0; i < out.operations; ++i) {
    for (const auto& [line, bytes] : changes[i]) live[line] += bytes;
    const Bytes sum = std::accumulate(live.begin(), live.end(), Bytes());
    if (i % part == 0) out.at.push_back(i), out.by_line.push_back(live), most = sum;
    if (sum > most) out.at.back() = i, out.by_line.back() = live, most = sum;
  }
  return out;
}

/// Lines of which something lives somewhere.
nlohmann::json over_step_json(const MemoryOverStep& over) {
  nlohmann::json lines = nlohmann::json::object();
  for (std::size_t line = 0; line < static_cast<std::size_t>(program::kMemoryLines); ++line) {
    std::vector<std::int64_t> bytes;
    for (const std::vector<Bytes>& live : over.by_line) bytes.push_back(live[line].value);
    if (std::any_of(bytes.begin(), bytes.end(), [](std::int64_t b) { return b > 0; }))
      lines[std::string(program::name(static_cast<program::MemoryLine>(line))) + "_bytes"] = bytes;
  }
  return {{"operations", over.operations}, {"operation", over.at}, {"lines", lines}};
}

nlohmann::json memory_json(const MemoryAccount& memory) {
  nlohmann::json lines;
  for (int i = 0; i < program::kMemoryLines; ++i)
    lines[std::string(program::name(static_cast<program::MemoryLine>(i))) + "_bytes"] = memory.by_line[static_cast<std::size_t>(i)].value;
  return {{"peak_bytes_per_rank", memory.peak_per_rank().value},
          {"arena_bytes", memory.arena.value},
          {"live_peak_bytes", memory.live_peak.value},
          {"peak_operation", memory.peak_operation},
          {"lines_at_peak", lines},
          {"over_step", over_step_json(memory.over_step)},
          {"outside_arena",
           {{"gemm_panels_bytes", memory.outside.gemm_panels.value},
            {"batches_bytes", memory.outside.batches.value},
            {"rotation_tables_bytes", memory.outside.rotation_tables.value}}}};
}

}  // namespace

program::BatchPlan batch_plan(const config::RunConfig& config) {
  return {config.batch.micro_batch, config.batch.sequence_length, static_cast<int>(config.micro_batches()),
          static_cast<int>(config.batch.virtual_ranks)};
}

std::vector<Seconds> operation_times(const config::RunConfig& config, const program::Program& step, const cluster::ComputeRates& compute) {
  std::vector<Seconds> times(step.operations.size());
  price(config, step, compute, [&](std::size_t i, Kernel, Seconds seconds) { times[i] += seconds; });
  return times;
}

double Account::mfu() const { return flops_per_token.value * tokens_per_second() / time->peak_flops; }

Account count(const config::RunConfig& config) {
  Account account;
  account.parameters = model::count_params(config.model);
  account.flops_per_token = model::flops_per_token(config.model, config.batch.sequence_length);
  for (model::Convention convention : model::all_conventions())
    account.conventions.emplace_back(model::name(convention),
                                     model::flops_per_token(config.model, config.batch.sequence_length, convention));
  account.tokens_per_step = Tokens(config.tokens_per_step());
  account.steps = config.run.steps;
  account.tokens = account.tokens_per_step * account.steps;
  account.layout = program::layout_of(config.parallel);
  account.batch = {config.batch.global_batch, config.batch.micro_batch, config.batch.sequence_length};
  return account;
}

Account make_account(const config::RunConfig& config, const program::Program& step, Bytes arena, const OutsideArena& outside) {
  Account account = count(config);
  account.memory = {arena,
                    step.live_peak,
                    program::id(step.operations[static_cast<std::size_t>(step.peak_operation)]),
                    step.live_by_line(step.peak_operation),
                    outside,
                    memory_over(step)};
  return account;
}

Account make_account(const config::RunConfig& config, const program::Program& step, Bytes arena, const OutsideArena& outside,
                     const cluster::ComputeRates& compute, const std::string& rates_source) {
  Account account = make_account(config, step, arena, outside);
  account.time = time_of(config, step, compute);
  account.time->rates = rates_source;
  return account;
}

nlohmann::json to_json(const Account& a) {
  nlohmann::json out =
      to_json(DocumentHead{a.layout, a.batch, a.parameters, a.flops_per_token, a.conventions, a.tokens_per_step, a.tokens, a.steps});
  if (a.memory) out["memory"] = memory_json(*a.memory);
  if (a.time) {
    out["step"] = {{"seconds", a.time->step().value},
                   {"split",
                    {{"gemm_seconds", a.time->gemm.value},
                     {"attention_seconds", a.time->attention.value},
                     {"loss_seconds", a.time->loss.value},
                     {"memory_bound_seconds", a.time->memory_bound.value}}},
                   {"tokens_per_s", a.tokens_per_second()},
                   {"mfu", a.mfu()},
                   {"peak_flops", a.time->peak_flops},
                   {"threads", a.time->threads},
                   {"rates", a.time->rates},
                   {"estimate", true}};
    for (const auto& [name, seconds] : a.time->by_operation) out["step"]["operation_seconds"][name] = seconds.value;
    for (const auto& [name, seconds] : a.time->by_phase) out["step"]["phase_seconds"][name] = seconds.value;
    out["run"] = {{"seconds", a.run().value}};
  } else if (a.memory) {
    out["rates"] = "unmeasured";
  }
  return out;
}

namespace {

using PrintedLine = std::pair<std::string, std::string>;

std::string section(const std::string& title, const std::vector<PrintedLine>& lines) {
  std::string out = title + "\n";
  for (const auto& [what, value] : lines) out += fmt::format("  {:<22}{}\n", what, value);
  return out;
}

std::string memory_text(const MemoryAccount& m) {
  std::vector<PrintedLine> lines;
  for (int i = 0; i < program::kMemoryLines; ++i)
    if (const Bytes bytes = m.by_line[static_cast<std::size_t>(i)]; bytes.value > 0)
      lines.emplace_back(program::name(static_cast<program::MemoryLine>(i)), format(bytes));
  lines.emplace_back("arena", fmt::format("{} allocated ({} live at the peak)", format(m.arena), format(m.live_peak)));
  lines.emplace_back("beside the arena", fmt::format("{} GEMM panels, {} batches, {} rotation tables", format(m.outside.gemm_panels),
                                                     format(m.outside.batches), format(m.outside.rotation_tables)));
  lines.emplace_back("peak per rank", format(m.peak_per_rank()));
  return section(fmt::format("memory of one rank, at the peak ({})", m.peak_operation), lines);
}

std::string time_text(const Account& a) {
  const TimeAccount& t = *a.time;
  return section(fmt::format("time (estimate; rates {})", t.rates),
                 {{"step", fmt::format("{} on {} threads = {} GEMM + {} attention + {} head and loss + {} memory-bound", format(t.step()),
                                       t.threads, format(t.gemm), format(t.attention), format(t.loss), format(t.memory_bound))},
                  {"speed", fmt::format("{}, MFU {:.1f} % of {} (register-only peak)", format_token_rate(a.tokens_per_second()),
                                        100 * a.mfu(), format_flops_rate(t.peak_flops))},
                  {"run", fmt::format("{} without validation and saves", format(a.run()))}});
}

}  // namespace

std::string to_text(const Account& a, const config::RunConfig& config) {
  const model::ParamCounts& p = a.parameters;
  std::vector<PrintedLine> model = {{"parameters", fmt::format("{} ({} multiply, {} in embeddings)", format_count(p.total.value),
                                                               format_count(p.matmul.value), format_count(p.embedding.value))}};
  if (p.active != p.total) model.emplace_back("active parameters", format_count(p.active.value));
  model.emplace_back("work per token",
                     fmt::format("{}, forward and backward: 6·N_matmul + 12·L·heads·head_dim·s", format(a.flops_per_token)));
  std::string out = section(fmt::format("model {}", config.model.name), model);
  out += section("run", {{"tokens per step", fmt::format("{} ({} sequences of {})", format_count(a.tokens_per_step.value),
                                                         config.batch.global_batch, config.batch.sequence_length)},
                         {"steps", fmt::format("{} = {}, {}", format_count(a.steps), format(a.tokens),
                                               format(Flops(a.flops_per_token.value * static_cast<double>(a.tokens.value))))}});
  if (a.memory) out += memory_text(*a.memory);
  if (a.time) out += time_text(a);
  return out;
}

}  // namespace longhaul::plan
