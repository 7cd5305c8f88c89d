#include "report/comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "units/format.h"
#include "units/statistics.h"

namespace longhaul::report {
namespace {

using nlohmann::json;
using Records = std::vector<ledger::Record>;

double phase_seconds(const ledger::Record& record, const std::string& phase) {
  const auto found = record.timing.phase_seconds.find(phase);
  return found == record.timing.phase_seconds.end() ? 0 : found->second;
}

/// Seconds of a step without what the plan leaves out.
double bare_step_seconds(const ledger::Record& record) {
  return record.timing.step_seconds - phase_seconds(record, "validate") - phase_seconds(record, "hash") -
         phase_seconds(record, "checkpoint");
}

std::optional<double> median_of(const Records& records, const std::function<double(const ledger::Record&)>& value) {
  if (records.empty()) return std::nullopt;
  std::vector<double> values;
  for (const ledger::Record& record : records) values.push_back(value(record));
  return upper_median(std::move(values));
}

/// The field of the newest event of a kind that has it.
std::optional<double> measured_by(const std::vector<json>& events, const char* kind, const json::json_pointer& field) {
  for (auto event = events.rbegin(); event != events.rend(); ++event)
    if (event->value("kind", "") == kind && event->contains(field)) return event->at(field).get<double>();
  return std::nullopt;
}

std::string formatted(Unit unit, double value) {
  switch (unit) {
    case Unit::count:
      return format_count(static_cast<std::int64_t>(value));
    case Unit::bytes:
      return format(Bytes(static_cast<std::int64_t>(value)));
    case Unit::seconds:
      return format(Seconds(value));
    case Unit::tokens_per_second:
      return format_token_rate(value);
    case Unit::fraction:
      return fmt::format("{:.1f} %", 100 * value);
  }
  return "";
}

}  // namespace

std::optional<double> ComparedLine::ratio() const {
  if (!measured || !planned || *measured <= 0 || *planned <= 0) return std::nullopt;
  return *planned / *measured;
}

std::vector<ComparedLine> compare(const json& plan, const Records& records, const std::vector<json>& events) {
  std::vector<ComparedLine> lines;
  const auto planned_at = [&](const char* pointer) {
    const json::json_pointer at(pointer);
    return plan.contains(at) ? std::optional(plan.at(at).get<double>()) : std::nullopt;
  };
  const auto event = [&](const char* kind, const char* pointer) { return measured_by(events, kind, json::json_pointer(pointer)); };

  lines.push_back({"model", "parameters", Unit::count, planned_at("/parameters/total"), event("launch", "/parameters")});
  lines.push_back({"memory", "arena", Unit::bytes, planned_at("/memory/arena_bytes"), event("memory", "/arena_bytes")});
  lines.push_back(
      {"memory", "arena_high_water", Unit::bytes, planned_at("/memory/arena_bytes"), event("memory", "/arena_high_water_bytes")});
  lines.push_back({"memory", "growth", Unit::bytes, planned_at("/memory/peak_bytes_per_rank"), event("memory", "/growth_bytes")});

  const std::optional<double> step = planned_at("/step/seconds"), peak = planned_at("/step/peak_flops"),
                              flops = planned_at("/flops/per_step"), tokens = planned_at("/tokens/per_step"),
                              measured = median_of(records, bare_step_seconds);
  // A step at the peak takes so long: what MFU is a share of.
  const std::optional<double> at_peak = flops && peak ? std::optional(*flops / *peak) : std::nullopt;
  const auto over = [](std::optional<double> amount, std::optional<double> seconds) {
    return amount && seconds ? std::optional(*amount / *seconds) : std::nullopt;
  };
  lines.push_back({"step", "seconds", Unit::seconds, step, measured});
  lines.push_back({"step", "tokens_per_s", Unit::tokens_per_second, over(tokens, step), over(tokens, measured)});
  lines.push_back({"step", "mfu", Unit::fraction, over(at_peak, step), over(at_peak, measured)});

  const json parts = plan.value("step", json::object());
  for (const char* phase : {"data", "forward", "recompute", "backward", "reduce", "clip", "optimizer", "other"}) {
    std::optional<double> planned;
    if (const json::json_pointer at("/phase_seconds/" + std::string(phase)); parts.contains(at)) planned = parts.at(at).get<double>();
    const std::optional<double> seconds = median_of(records, [&](const ledger::Record& record) { return phase_seconds(record, phase); });
    if (planned || seconds.value_or(0) > 0) lines.push_back({"phase", phase, Unit::seconds, planned, seconds});
  }
  const auto first = std::ssize(lines);
  if (parts.contains("operation_seconds"))
    for (const auto& [name, seconds] : parts.at("operation_seconds").items())
      lines.push_back({"operation", name, Unit::seconds, seconds.get<double>(),
                       measured_by(events, "operations", json::json_pointer("/seconds") / name)});
  std::sort(lines.begin() + first, lines.end(), [](const ComparedLine& a, const ComparedLine& b) { return a.planned > b.planned; });
  return lines;
}

std::vector<std::string> cells(const ComparedLine& line) {
  const std::optional<double> ratio = line.ratio();
  return {line.name, line.planned ? formatted(line.unit, *line.planned) : "not planned",
          line.measured ? formatted(line.unit, *line.measured) : "not measured", ratio ? fmt::format("{:.3f}", *ratio) : ""};
}

std::string to_text(const std::vector<ComparedLine>& lines) {
  std::string out, part;
  for (const ComparedLine& line : lines) {
    if (line.part != part) {
      part = line.part;
      out += fmt::format("{:<22}{:>16}{:>16}{:>20}\n", part, "planned", "measured", "planned ÷ measured");
    }
    const std::vector<std::string> texts = cells(line);
    out += fmt::format("  {:<20}{:>16}{:>16}{:>20}\n", texts[0], texts[1], texts[2], texts[3]);
  }
  return out;
}

json to_json(const std::vector<ComparedLine>& lines) {
  const auto or_null = [](const std::optional<double>& value) { return value ? json(*value) : json(); };
  json out;
  for (const ComparedLine& line : lines)
    out[line.part][line.name] = {
        {"planned", or_null(line.planned)}, {"measured", or_null(line.measured)}, {"ratio", or_null(line.ratio())}};
  return out;
}

}  // namespace longhaul::report
