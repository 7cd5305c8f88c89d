#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "report/page.h"
#include "report/plan_page.h"
#include "report/plan_sections.h"
#include "report/timeline.h"
#include "units/format.h"
#include "units/units.h"

namespace longhaul::report {
namespace {

std::vector<double> ends_of(const std::vector<Seconds>& times) {
  std::vector<double> ends;
  double at = 0;
  for (const Seconds& seconds : times) ends.push_back(at += seconds.value);
  return ends;
}

std::string head(const plan::Account& account) {
  return cards({{"parameters", format(account.parameters.total), "parameters.total", format_count(account.parameters.total.value)},
                {"memory of the rank", format(account.memory->peak_per_rank(), ByteUnits::binary), "memory.peak"},
                {"step", format(account.time->step()), "step.seconds"},
                {"speed", format_token_rate(account.tokens_per_second()), "step.tokens_per_s"},
                {"MFU", fmt::format("{:.1f} %", 100 * account.mfu()), "mfu"},
                {"run", format(account.run()), "run.time"},
                {"tokens", format(account.tokens), ""}});
}

std::string memory_by_line(const plan::MemoryAccount& memory) {
  Bars bars{fmt::format("Memory at the peak, {}", memory.peak_operation), "GiB", {"planned"}, {}};
  for (std::size_t line = 0; line < memory.by_line.size(); ++line)
    if (memory.by_line[line].value > 0)
      bars.rows.push_back(
          {std::string(program::name(static_cast<program::MemoryLine>(line))), {static_cast<double>(memory.by_line[line].value) / kGiB}});
  bars.rows.push_back({"arena", {static_cast<double>(memory.arena.value) / kGiB}});
  bars.rows.push_back({"outside the arena", {static_cast<double>(memory.outside.total().value) / kGiB}});
  return to_svg(bars);
}

std::string time_by(const std::string& title, const std::map<std::string, Seconds>& parts) {
  std::vector<std::pair<double, std::string>> falling;
  for (const auto& [name, seconds] : parts) falling.emplace_back(-seconds.value, name);
  std::sort(falling.begin(), falling.end());
  Bars bars{title, "seconds of a step", {"planned"}, {}};
  for (const auto& [seconds, name] : falling)
    if (seconds < 0) bars.rows.push_back({name, {-seconds}});
  return to_svg(bars);
}

std::string timeline(const program::Program& step, const std::vector<double>& ends) {
  Timeline out{"The step, operation by operation", {"rank 0"}, {"forward", "recompute", "backward", "reduce", "clip", "optimizer"}, {}, ""};
  for (std::size_t i = 0; i < step.operations.size(); ++i) {
    const std::string_view phase = program::ledger_phase(step.operations[i]);
    const auto kind = static_cast<std::size_t>(std::find(out.kinds.begin(), out.kinds.end(), phase) - out.kinds.begin());
    if (kind == out.kinds.size()) out.kinds.emplace_back(phase);
    out.slices.push_back({0, kind, i == 0 ? 0 : ends[i - 1], ends[i], program::id(step.operations[i])});
  }
  return to_html(out);
}

}  // namespace

std::string plan_page(const MachinePlan& plan) {
  const plan::Account& account = plan.account;
  const std::vector<double> ends = ends_of(plan.operation_times);
  std::vector<plan::Explanation> all;
  for (const auto& [id, title] : plan::explainable(account)) all.push_back(plan::explain(account, plan.config, id));
  std::string body = fmt::format("<p>{} at one rank, {} sequences of {} tokens a step; {}.</p>\n", escaped(plan.config.model.name),
                                 plan.config.batch.global_batch, plan.config.batch.sequence_length, escaped(account.time->rates));
  body += head(account);
  body += "<h2>Memory</h2>\n" + memory_by_line(*account.memory) + program_memory_plot(plan.step, ends);
  body += "<h2>The step</h2>\n" + timeline(plan.step, ends) + time_by("Time by phase", account.time->by_phase) +
          time_by("Time by operation, over layers and micro-batches", account.time->by_operation);
  body += "<h2>The run</h2>\n" + schedule_plot(train::schedule_of(plan.config)) +
          loss_surface(plan.law, {static_cast<double>(account.parameters.total.value), static_cast<double>(account.tokens.value)});
  body += "<h2>Every figure and where it comes from</h2>\n" + explanations(all);
  return page(fmt::format("Plan of {}", plan.config.model.name), body);
}

}  // namespace longhaul::report
