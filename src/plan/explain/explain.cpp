#include "plan/explain/explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>

#include "plan/explain/expression.h"
#include "plan/explain/lines.h"
#include "units/error.h"
#include "units/format.h"
#include "units/nearest.h"

namespace longhaul::plan {
namespace {

double value_of(const std::vector<Term>& terms, std::string_view symbol) {
  for (const Term& term : terms)
    if (term.symbol == symbol) return term.value;
  throw std::logic_error("explanation: no number for " + std::string(symbol));
}

/// A whole number with all digits, else six significant ones.
std::string plain(double value) {
  const bool whole = value == std::floor(value) && std::abs(value) < 1e15;
  return whole ? format_count(static_cast<std::int64_t>(value)) : fmt::format("{:.6g}", value);
}

/// Leaves out numbers that neither the formula nor another number needs.
void prune(Explanation& e) {
  std::set<std::string, std::less<>> used;
  const auto use = [&](const std::string& formula) {
    for (std::string& symbol : symbols(formula)) used.insert(std::move(symbol));
  };
  use(e.formula);
  for (auto term = e.terms.rbegin(); term != e.terms.rend(); ++term)
    if (used.contains(term->symbol)) use(term->formula);
  std::erase_if(e.terms, [&](const Term& term) { return !used.contains(term.symbol); });
}

template <class Plan>
Explanation explained(const Line<Plan>& line, const Plan& plan) {
  Explanation out;
  out.id = line.id, out.title = line.title, out.pointer = line.pointer, out.source = line.source;
  out.value = line.value(plan), out.unit = line.unit;
  if (!out.value) out.missing = line.missing;
  Derivation derivation(out);
  if (out.value) line.derive(plan, derivation);
  prune(out);
  return out;
}

template <class Plan>
const Line<Plan>* find(const std::vector<Line<Plan>>& lines, std::string_view id) {
  const auto at = std::find_if(lines.begin(), lines.end(), [&](const Line<Plan>& line) { return line.id == id; });
  return at == lines.end() ? nullptr : &*at;
}

template <class Lines>
void name_all(std::vector<std::pair<std::string, std::string>>& out, const Lines& lines) {
  for (const auto& line : lines) out.emplace_back(line.id, line.title);
}

std::vector<ForecastLine> forecast_lines(const Forecast& forecast) {
  std::vector<ForecastLine> out = memory_lines(forecast);
  for (auto& more : {step_lines(), traffic_lines(), run_lines()}) out.insert(out.end(), more.begin(), more.end());
  return out;
}

[[noreturn]] void unknown(std::string_view id, const std::vector<std::pair<std::string, std::string>>& known) {
  std::vector<std::string_view> names;
  for (const auto& [name, title] : known) names.push_back(name);
  throw UsageError(fmt::format("--explain '{}': no such line of the plan; nearest: {}; `--explain list` names all {}", id,
                               nearest(id, names), names.size()));
}

}  // namespace

std::string format(double value, Unit unit) {
  switch (unit) {
    case Unit::bytes:
      return format(Bytes(std::llround(value)), ByteUnits::binary);
    case Unit::bytes_per_parameter:
      return plain(value) + " B/parameter";
    case Unit::bytes_per_token:
      return plain(value) + " B/token";
    case Unit::bytes_per_second:
      return format_byte_rate(value);
    case Unit::parameters:
      return plain(value) + " parameters";
    case Unit::tokens:
      return plain(value) + " tokens";
    case Unit::tokens_per_second:
      return format_token_rate(value);
    case Unit::seconds:
      return format(Seconds(value));
    case Unit::flops:
      return format(Flops(value));
    case Unit::flops_per_second:
      return format_flops_rate(value);
    case Unit::share:
      return fmt::format("{:.4g} %", 100 * value);
    case Unit::dollars:
      return fmt::format("${:.2f}", value);
    case Unit::number:
      break;
  }
  return plain(value);
}

Derivation& Derivation::let(std::string symbol, double value, Unit unit, std::string meaning) {
  out_.terms.push_back({std::move(symbol), std::move(meaning), value, unit, ""});
  return *this;
}

Derivation& Derivation::define(std::string symbol, std::string formula, Unit unit, std::string meaning) {
  const double value = evaluate(formula, [&](std::string_view name) { return value_of(out_.terms, name); });
  out_.terms.push_back({std::move(symbol), std::move(meaning), value, unit, std::move(formula)});
  return *this;
}

Derivation& Derivation::is(std::string formula) {
  out_.formula = std::move(formula);
  return *this;
}

Derivation& Derivation::note(std::string text) {
  out_.notes.push_back(std::move(text));
  return *this;
}

std::vector<std::pair<std::string, std::string>> explainable(const Forecast& forecast) {
  std::vector<std::pair<std::string, std::string>> out;
  name_all(out, model_lines());
  name_all(out, forecast_lines(forecast));
  return out;
}

Explanation explain(const Forecast& forecast, const cost::Calibration& calibration, std::string_view id, bool with_levers) {
  if (const auto lines = model_lines(); const Line<ModelFigures>* line = find(lines, id))
    return explained(*line, {forecast.shape.model, forecast.shape.sequence_length});
  const std::vector<ForecastLine> lines = forecast_lines(forecast);
  const ForecastLine* line = find(lines, id);
  if (!line) unknown(id, explainable(forecast));
  const OnCluster given{forecast, calibration};
  Explanation out = explained(*line, given);
  if (out.value && with_levers) out.levers = pull(*line, given);
  return out;
}

std::vector<std::pair<std::string, std::string>> explainable(const Account& account) {
  std::vector<std::pair<std::string, std::string>> out;
  name_all(out, model_lines());
  name_all(out, account_lines(account));
  return out;
}

Explanation explain(const Account& account, const config::RunConfig& config, std::string_view id) {
  if (const auto lines = model_lines(); const Line<ModelFigures>* line = find(lines, id))
    return explained(*line, {config.model, config.batch.sequence_length});
  const std::vector<Line<OnMachine>> lines = account_lines(account);
  const Line<OnMachine>* line = find(lines, id);
  if (!line) unknown(id, explainable(account));
  return explained(*line, {account, config});
}

nlohmann::json to_json(const Explanation& e) {
  const auto symbol = [&](std::string_view name) {
    const auto at = std::find_if(e.terms.begin(), e.terms.end(), [&](const Term& term) { return term.symbol == name; });
    return format(at->value, at->unit);
  };
  nlohmann::json terms = nlohmann::json::array(), levers = nlohmann::json::array();
  for (const Term& term : e.terms) {
    terms.push_back({{"symbol", term.symbol}, {"meaning", term.meaning}, {"value", term.value}, {"text", format(term.value, term.unit)}});
    if (!term.formula.empty()) terms.back()["formula"] = term.formula;
  }
  for (const Lever& lever : e.levers)
    levers.push_back({{"change", lever.change}, {"value", lever.value}, {"text", format(lever.value, e.unit)}, {"but", lever.but}});
  nlohmann::json out = {{"id", e.id},       {"title", e.title},   {"pointer", e.pointer}, {"formula", e.formula},
                        {"terms", terms},   {"source", e.source}, {"levers", levers},     {"notes", e.notes},
                        {"value", nullptr}, {"text", e.missing},  {"substituted", ""}};
  if (e.value) out["value"] = *e.value, out["text"] = format(*e.value, e.unit), out["substituted"] = substitute(e.formula, symbol);
  return out;
}

std::string to_text(const Explanation& e) {
  const nlohmann::json all = to_json(e);
  const auto line = [](std::string_view what, const std::string& text) { return fmt::format("  {:<13}{}\n", what, text); };
  std::string out = fmt::format("{}: {}\n", e.id, e.title);
  if (!e.value) return out + line("not given", e.missing) + line("source", e.source);
  const std::string figure = format(*e.value, e.unit);
  out += line("figure", e.unit == Unit::bytes ? fmt::format("{} ({} B)", figure, plain(std::round(*e.value))) : figure);
  out += line("formula", e.formula);
  out += line("here", fmt::format("{} = {}", all["substituted"].get<std::string>(), figure));
  std::string_view what = "where";
  for (const Term& term : e.terms) {
    const std::string worked = term.formula.empty() ? "" : fmt::format(" = {}", term.formula);
    out += line(what, fmt::format("{}{} = {}: {}", term.symbol, worked, format(term.value, term.unit), term.meaning));
    what = "";
  }
  out += line("source", e.source);
  what = "would change";
  for (const Lever& lever : e.levers) {
    const std::string percent = *e.value > 0 ? fmt::format(" ({:+.1f} %)", 100 * (lever.value / *e.value - 1)) : "";
    const std::string but = lever.but.empty() ? "" : "; " + lever.but;
    out += line(what, fmt::format("{:<40}{}{}{}", lever.change, format(lever.value, e.unit), percent, but));
    what = "";
  }
  for (const std::string& note : e.notes) out += line("note", note);
  return out;
}

nlohmann::json to_json(const std::vector<std::pair<std::string, std::string>>& ids) {
  nlohmann::json lines = nlohmann::json::array();
  for (const auto& [id, title] : ids) lines.push_back({{"id", id}, {"title", title}});
  return {{"explanations", lines}};
}

std::string to_text(const std::vector<std::pair<std::string, std::string>>& ids) {
  std::string out;
  for (const auto& [id, title] : ids) out += fmt::format("{:<35}{}\n", id, title);
  return out;
}

}  // namespace longhaul::plan
