#include "report/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "config/resolve.h"
#include "files/read.h"
#include "ledger/ledger.h"
#include "program/program.h"
#include "report/page.h"
#include "report/plan_sections.h"
#include "report/plot.h"
#include "report/run_sections.h"
#include "train/engine.h"
#include "train/evaluate.h"
#include "units/error.h"
#include "units/format.h"

namespace longhaul::report {
namespace {

double seconds_of(const ledger::Record& record, const std::string& phase) {
  const auto found = record.timing.phase_seconds.find(phase);
  return found == record.timing.phase_seconds.end() ? 0 : found->second;
}

/// Phases of the ledger from the bottom of the plot to its top: what every step does, then what few steps do.
std::vector<std::string> phases_of(const Records& records) {
  std::set<std::string> seen;
  for (const ledger::Record& record : records)
    for (const auto& [phase, seconds] : record.timing.phase_seconds) seen.insert(phase);
  std::vector<std::string> out;
  for (const char* phase :
       {"data", "forward", "recompute", "backward", "reduce", "clip", "optimizer", "other", "hash", "checkpoint", "validate"})
    if (seen.erase(phase) > 0) out.emplace_back(phase);
  out.insert(out.end(), seen.begin(), seen.end());
  return out;
}

std::string phase_plot(const Records& records) {
  Plot plot{"Time per phase", "step", "seconds per step", {}};
  plot.stacked = plot.robust_y = true;
  for (const std::string& phase : phases_of(records))
    plot.series.push_back(over_steps(phase, records, [&](const ledger::Record& r) { return seconds_of(r, phase); }));
  return to_svg(plot);
}

std::string plots(const config::RunConfig& config, const Records& records) {
  std::string out = schedule_plot(train::schedule_of(config),
                                  over_steps("used", records, [](const ledger::Record& r) { return r.result.learning_rate; }));
  Plot norms{"Gradient norm", "step", "global L2 norm", {}};
  norms.series = {over_steps("before clip", records, [](const ledger::Record& r) { return r.result.grad_norm_before_clip; }),
                  over_steps("after clip", records, [](const ledger::Record& r) { return r.result.grad_norm_after_clip; })};
  norms.log_y = true;
  out += to_svg(norms);
  out += phase_plot(records);
  out += to_svg(Plot{"Speed",
                     "step",
                     "tokens per second",
                     {over_steps("tokens/s", records, [](const ledger::Record& r) { return r.timing.tokens_per_second; })},
                     false,
                     true});
  return out;
}

/// The memory measurement of the last launch that ran long enough (accounting G); null without one.
nlohmann::json measured_memory(const std::vector<nlohmann::json>& events) {
  for (auto event = events.rbegin(); event != events.rend(); ++event)
    if (event->value("kind", "") == "memory") return *event;
  return nullptr;
}

/// The unit of an axis whose largest value is given in bytes.
struct ByteAxis {
  explicit ByteAxis(double largest) : unit(largest >= 1e9 ? "GB" : largest >= 1e6 ? "MB" : "kB") {}
  double of(double bytes) const { return bytes / (unit == "GB" ? 1e9 : unit == "MB" ? 1e6 : 1e3); }
  std::string unit;
};

/// The lines of `object` ("weights_bytes": …) in the order of program::MemoryLine, what lives through the step first: name and value.
std::vector<std::pair<std::string, nlohmann::json>> memory_lines(const nlohmann::json& object) {
  std::vector<std::pair<std::string, nlohmann::json>> out;
  for (int line = 0; line < program::kMemoryLines; ++line) {
    const std::string name(program::name(static_cast<program::MemoryLine>(line)));
    if (object.contains(name + "_bytes")) out.emplace_back(name, object.at(name + "_bytes"));
  }
  return out;
}

std::string memory_bars(const nlohmann::json& memory, const nlohmann::json& measured) {
  const double absent = std::numeric_limits<double>::quiet_NaN(), peak = memory.at("peak_bytes_per_rank").get<double>();
  const auto measured_at = [&](const char* key) { return measured.is_null() ? absent : measured.value(key, absent); };
  const double growth = measured_at("growth_bytes");  // not known of one rank among several
  const ByteAxis axis(std::isnan(growth) ? peak : std::max(peak, growth));
  Bars bars{"Memory of one rank", axis.unit, {"planned", "measured"}, {}};
  bars.rows.push_back({"peak per rank", {axis.of(peak), axis.of(growth)}});
  bars.rows.push_back(
      {"arena (high-water mark)", {axis.of(memory.at("arena_bytes").get<double>()), axis.of(measured_at("arena_high_water_bytes"))}});
  for (const auto& [name, bytes] : memory_lines(memory.at("lines_at_peak")))
    if (bytes.get<double>() > 0) bars.rows.push_back({name, {axis.of(bytes.get<double>()), absent}});
  return to_svg(bars);
}

/// As planned; nothing for a plan of a version that did not keep it.
std::string memory_over_step(const nlohmann::json& memory) {
  if (!memory.contains("over_step")) return "";
  const nlohmann::json& over_step = memory.at("over_step");
  const ByteAxis axis(memory.at("live_peak_bytes").get<double>());
  Plot plot{"Memory over the step, by line, as planned", "operation", axis.unit, {}};
  plot.stacked = plot.steps = true;
  for (const auto& [name, bytes] : memory_lines(over_step.at("lines"))) {
    Series series{name, over_step.at("operation").get<std::vector<double>>(), {}};
    for (const nlohmann::json& value : bytes) series.y.push_back(axis.of(value.get<double>()));
    plot.series.push_back(std::move(series));
  }
  return to_svg(plot);
}

std::string comparison_tables(const std::vector<ComparedLine>& lines) {
  std::string out;
  std::vector<std::vector<std::string>> rows;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    rows.push_back(cells(lines[i]));
    if (i + 1 < lines.size() && lines[i + 1].part == lines[i].part) continue;
    out += table({lines[i].part, "planned", "measured", "planned ÷ measured"}, rows);
    rows.clear();
  }
  return out;
}

std::string event_table(const std::vector<nlohmann::json>& events) {
  std::vector<std::vector<std::string>> rows;
  for (const nlohmann::json& event : events) {
    nlohmann::json rest = event;
    for (const char* key : {"kind", "time", "launch", "tensors"}) rest.erase(key);
    rows.push_back({event.value("time", ""), std::to_string(event.value("launch", 0)), event.value("kind", ""), rest.dump()});
  }
  return table({"time (UTC)", "launch", "event", ""}, rows);
}

std::string summary(const config::RunConfig& config, const Records& records) {
  const ledger::Result& last = records.back().result;
  std::string out = fmt::format("<p>Step {}, {}; training loss {:.4f} nats/token", last.step, format(Tokens(last.tokens)), last.loss);
  for (auto record = records.rbegin(); record != records.rend(); ++record)
    if (record->result.validation_loss) {
      out += fmt::format("; held-out {:.4f} nats/token at step {}", *record->result.validation_loss, record->result.step);
      if (record->result.bits_per_byte)
        out += fmt::format(", <b>{:.4f} bits/byte</b>{}", *record->result.bits_per_byte, train::end_of_text_note(config));
      break;
    }
  return out + ".</p>";
}

}  // namespace

Report make_report(const std::filesystem::path& run_directory) {
  const std::filesystem::path ledger = run_directory / "ledger";
  const Records records = ledger::read_metrics(ledger / "metrics.jsonl");
  if (records.empty())
    throw DataError(fmt::format("{} has no steps yet: `longhaul train` writes them", (ledger / "metrics.jsonl").string()));
  const std::vector<nlohmann::json> events = ledger::read_events(ledger / "events.jsonl");
  PlanDocument plan = newest_plan(run_directory);
  std::vector<ComparedLine> comparison = compare(plan.document, records, events);

  const config::RunConfig config = config::resolve_file((run_directory / "run.toml").string()).config;
  const ledger::Settings settings = ledger::read_settings(ledger / "metrics.jsonl");
  std::string body = loss_plot(records, ledger::read_metrics(ledger / "parent.jsonl"), settings) + summary(config, records);
  body += settings_section(settings);
  body += "<h2>Plan and measurement</h2>" + comparison_tables(comparison);
  body += fmt::format(
      "<p class='note'>Planned: {}. Measured steps: medians, without validation, hashes and saves. Operations: over layers and "
      "micro-batches, "
      "medians of the launch's steps 3 to 10. MFU: 6·N_matmul + 12·L·heads·head_dim·s, of the register-only peak.</p>",
      escaped(plan.basis()));
  const nlohmann::json& memory = plan.document.at("memory");
  body += ranks_section(events);
  body += plots(config, records) + memory_bars(memory, measured_memory(events)) + memory_over_step(memory);
  const std::string gradient = gradient_sections(config, records, events);
  if (!gradient.empty()) body += "<h2>Gradient and weights</h2>" + gradient;
  body += passages(config.validation.prompt, settings, records) + machine_plots(records);
  body += "<h2>Events</h2>" + event_table(events);
  body += "<h2>Run file</h2><pre>" + escaped(files::read_file(run_directory / "run.toml")) + "</pre>";
  return {std::move(comparison), std::move(plan),
          page(std::filesystem::absolute(run_directory).lexically_normal().filename().string(), body)};
}

}  // namespace longhaul::report
