#include "plan/account.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "units/format.h"

namespace longhaul::plan {
namespace {

using program::OpKind;

bool is_attention(OpKind kind) { return kind == OpKind::attention_forward || kind == OpKind::attention_backward; }

/// Bytes an operation must at least move: every buffer it reads or writes once, updates twice; workspaces stay in caches. Weights and
/// gradients are whole-model buffers of which a layer's operation touches its own part: those are counted by the update alone.
double bytes_moved(const program::Program& program, const program::Operation& op) {
  double bytes = 0;
  for (const program::BufferUse& use : op.uses) {
    const program::Buffer& buffer = program.buffers[use.buffer];
    const bool whole_model = buffer.persistent || buffer.line == program::MemoryLine::gradients;
    if (buffer.line == program::MemoryLine::workspace || buffer.line == program::MemoryLine::logits) continue;
    if (whole_model && op.pass != program::Pass::step) continue;
    bytes += static_cast<double>(buffer.size().value) * (use.access == program::Access::update ? 2 : 1);
  }
  return bytes;
}

TimeAccount time_of(const program::Program& step, const cluster::ComputeRates& compute, const cluster::MemoryRates& memory) {
  TimeAccount time;
  for (const program::Operation& op : step.operations) {
    if (is_attention(op.kind))
      time.attention += Seconds(op.flops.value / compute.attention_flops);
    else
      time.gemm += Seconds(op.flops.value / compute.gemm_flops);
    time.memory_bound += Seconds(bytes_moved(step, op) / memory.triad_bytes);
  }
  time.peak_flops = compute.peak_flops;
  return time;
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
          {"outside_arena",
           {{"gemm_panels_bytes", memory.outside.gemm_panels.value},
            {"batches_bytes", memory.outside.batches.value},
            {"rotation_tables_bytes", memory.outside.rotation_tables.value}}}};
}

}  // namespace

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
  return account;
}

Account make_account(const config::RunConfig& config, const program::Program& step, Bytes arena, const OutsideArena& outside,
                     const cluster::ComputeRates& compute, const cluster::MemoryRates& memory, const std::string& rates_source) {
  Account account = count(config);
  account.memory = {arena, step.live_peak, program::id(step.operations[static_cast<std::size_t>(step.peak_operation)]),
                    step.live_by_line(step.peak_operation), outside};
  account.time = time_of(step, compute, memory);
  account.time->rates = rates_source;
  return account;
}

nlohmann::json to_json(const Account& a) {
  nlohmann::json conventions;
  for (const auto& [name, flops] : a.conventions) conventions[name] = flops.value;
  nlohmann::json out = {{"parameters",
                         {{"total", a.parameters.total.value},
                          {"active", a.parameters.active.value},
                          {"embedding", a.parameters.embedding.value},
                          {"matmul", a.parameters.matmul.value}}},
                        {"flops",
                         {{"per_token", a.flops_per_token.value},
                          {"per_token_by_convention", conventions},
                          {"per_step", a.flops_per_token.value * static_cast<double>(a.tokens_per_step.value)},
                          {"run", a.flops_per_token.value * static_cast<double>(a.tokens.value)}}},
                        {"tokens", {{"per_step", a.tokens_per_step.value}, {"run", a.tokens.value}}},
                        {"steps", a.steps}};
  if (a.memory) out["memory"] = memory_json(*a.memory);
  if (a.time) {
    out["step"] = {{"seconds", a.time->step().value},
                   {"gemm_seconds", a.time->gemm.value},
                   {"attention_seconds", a.time->attention.value},
                   {"memory_bound_seconds", a.time->memory_bound.value},
                   {"tokens_per_s", a.tokens_per_second()},
                   {"mfu", a.mfu()},
                   {"peak_flops", a.time->peak_flops},
                   {"rates", a.time->rates},
                   {"estimate", true}};
    out["run"] = {{"seconds", a.run().value}};
  }
  return out;
}

namespace {

using Line = std::pair<std::string, std::string>;

std::string section(const std::string& title, const std::vector<Line>& lines) {
  std::string out = title + "\n";
  for (const auto& [what, value] : lines) out += fmt::format("  {:<22}{}\n", what, value);
  return out;
}

std::string memory_text(const MemoryAccount& m) {
  std::vector<Line> lines;
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
                 {{"step", fmt::format("{} = {} GEMM + {} attention + {} memory-bound", format(t.step()), format(t.gemm),
                                       format(t.attention), format(t.memory_bound))},
                  {"speed", fmt::format("{}, MFU {:.1f} % of {} (register-only peak)", format_token_rate(a.tokens_per_second()),
                                        100 * a.mfu(), format_flops_rate(t.peak_flops))},
                  {"run", fmt::format("{} without validation and saves", format(a.run()))}});
}

}  // namespace

std::string to_text(const Account& a, const config::RunConfig& config) {
  const model::ParamCounts& p = a.parameters;
  std::vector<Line> model = {{"parameters", fmt::format("{} ({} multiply, {} in embeddings)", format_count(p.total.value),
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
