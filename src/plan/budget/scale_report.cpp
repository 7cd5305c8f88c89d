// The answer of `longhaul scale` as text and as JSON.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "cost/formulas.h"
#include "plan/budget/scale.h"
#include "plan/search.h"
#include "scaling/text.h"
#include "units/format.h"

namespace longhaul::plan {
namespace {

nlohmann::json optional_json(const std::optional<double>& value) { return value ? nlohmann::json(*value) : nlohmann::json(); }

/// Cost of some device-hours by what the user gave; null where not.
std::optional<double> dollars_of(const ScaleRequest& request, double device_hours) {
  return request.price ? std::optional(cost::dollars(Seconds(device_hours * 3600), *request.price)) : std::nullopt;
}
std::optional<double> energy_of(const ScaleRequest& request, double device_hours) {
  return request.watts ? std::optional(cost::kilowatt_hours(Seconds(device_hours * 3600), *request.watts)) : std::nullopt;
}

/// Device-hours of one FLOP of 6·N·D at the pace of the best shape; nothing without a cluster.
std::optional<double> hours_per_flop(const ScaleResult& result) {
  if (!result.best) return std::nullopt;
  const Walked& best = result.walked[*result.best];
  return best.device_hours / best.at.flops();
}

nlohmann::json model_json(const model::ModelSpec& m) {
  return {{"layers", m.layers},     {"width", m.width},         {"heads", m.heads}, {"kv_heads", m.kv_heads},
          {"head_dim", m.head_dim}, {"ffn_width", m.ffn_width}, {"vocab", m.vocab}, {"tied_embeddings", m.tied_embeddings}};
}

nlohmann::json law_json(const LawAdvice& row) {
  nlohmann::json out = scaling::advice_json(row.advice);
  out["law"] = row.law.id, out["title"] = row.law.title, out["source"] = row.law.source, out["trust"] = name(row.law.trust);
  out["parameters_count_embeddings"] = row.law.embeddings;
  out["caveats"] = row.law.caveats;
  out["loss_by_surface"] = optional_json(row.loss_by_surface);
  return out;
}

nlohmann::json walked_json(const Walked& w, const ScaleRequest& request) {
  nlohmann::json out = {{"model", model_json(w.model)}, {"parameters", w.parameters}};
  if (!w.run) {
    out["reason"] = w.reason;
    return out;
  }
  out["layout"] = to_text(w.run->layout), out["micro_batch"] = w.run->micro_batch;
  out["step_seconds"] = w.step_seconds, out["tokens_per_s"] = w.tokens_per_s, out["mfu"] = w.mfu, out["peak_bytes_per_rank"] = w.memory;
  out["tokens"] = w.at.tokens, out["loss"] = w.loss, out["flops"] = w.at.flops();
  out["device_hours"] = w.device_hours, out["days"] = w.device_hours / 24 / request.base->devices;
  out["dollars"] = optional_json(dollars_of(request, w.device_hours));
  out["kilowatt_hours"] = optional_json(energy_of(request, w.device_hours));
  return out;
}

nlohmann::json served_json(const ScaleResult& result, const scaling::ServedOptimum& s) {
  nlohmann::json out = scaling::allocation_json(s.at);
  out["loss"] = s.loss, out["serving_flops"] = s.serving, out["lifetime_flops"] = s.total();
  const auto hours = hours_per_flop(result);
  out["dollars"] = hours ? optional_json(dollars_of(result.request, s.total() * *hours)) : nlohmann::json();
  return out;
}

nlohmann::json training_json(const scaling::TrainingAdvice& t) {
  nlohmann::json near = nlohmann::json::array();
  for (const scaling::PublishedRun& run : t.near)
    near.push_back({{"name", run.name}, {"learning_rate", run.learning_rate}, {"batch_tokens", run.batch_tokens}, {"source", run.source}});
  return {{"deepseek_llm", {{"learning_rate", t.learning_rate}, {"batch_tokens", t.batch_tokens}, {"extrapolates", t.beyond}}},
          {"published",
           {{"learning_rate", scaling::range_json(t.published_learning_rate)},
            {"batch_tokens", scaling::range_json(t.published_batch)},
            {"runs", near}}},
          {"kaplan_critical_batch_tokens", optional_json(t.critical_batch)},
          {"tokens_per_step", t.tokens_per_step},
          {"steps", t.steps},
          {"warmup_steps", t.warmup_steps}};
}

nlohmann::json suggestion_json(const Suggestion& s) {
  nlohmann::json out = scaling::allocation_json(s.at);
  out["wanted"] = scaling::allocation_json(s.wanted);
  out["loss"] = optional_json(s.loss);
  out["model"] = s.model ? model_json(*s.model) : nlohmann::json();
  if (s.model) out["counted_parameters"] = s.counts.total.value, out["counted_embedding"] = s.counts.embedding.value;
  return out;
}

std::string laws_text(const ScaleResult& result) {
  std::string out = fmt::format("{:<28}{:>8} {:<20}{:>8} {:<20}{:>6} {:<13}{:<22}{}\n", "law", "N", "80 %", "D", "80 %", "D/N", "80 %",
                                "loss, own law", "by " + result.request.surface.id);
  std::string marks;
  for (const LawAdvice& row : result.laws) {
    const scaling::Advice& a = row.advice;
    const std::string mark =
        std::string(row.law.embeddings ? "" : " ᵃ") + (row.law.trust == scaling::Trust::secondary ? " ᵇ" : "") + (a.beyond ? " ᶜ" : "");
    // Marks are one column wide each; fmt counts code points of what it pads.
    out += fmt::format("{:<28}{:>8} {:<20}{:>8} {:<20}{:>6.3g} {:<13}{:<22}{}\n", row.law.id + mark, scaling::count_text(a.at.parameters),
                       scaling::range_text(a.parameters), scaling::count_text(a.at.tokens), scaling::range_text(a.tokens),
                       a.at.tokens_per_parameter(), scaling::range_text(a.tokens_per_parameter),
                       a.loss ? scaling::loss_text(*a.loss, a.loss_interval) : "",
                       row.loss_by_surface ? fmt::format("{:.4f}", *row.loss_by_surface) : "");
    marks += mark;
  }
  if (marks.find("ᵃ") != std::string::npos) out += "ᵃ N counts no embeddings\n";
  if (marks.find("ᵇ") != std::string::npos) out += "ᵇ figures read in others' copies of the paper (`longhaul scale --laws`)\n";
  if (marks.find("ᶜ") != std::string::npos) out += "ᶜ extrapolation: this budget lies outside the runs that the law rests on\n";
  return out + "Losses of different laws are of different data and tokenizers: only those in the last column can be compared.\n";
}

std::string walk_text(const ScaleResult& result) {
  const ScaleRequest& request = result.request;
  std::string out =
      fmt::format("\non {}, {} in steps of {} tokens: each shape in its best layout, modelled; loss by {}\n", request.base->hardware->id,
                  request.device_hours ? fmt::format("{:.0f} device-hours", *request.device_hours) : scaling::flops_text(result.flops),
                  scaling::count_text(static_cast<double>(request.base->tokens_per_step())), request.surface.id);
  out += fmt::format("  {:>7} {:>6} {:>6} {:>9} {:>12} {:>6} {:>8} {:>6} {:>7} {:>9}  layout\n", "N", "layers", "width", "step", "tokens/s",
                     "MFU", "D", "D/N", "loss", "days");
  for (std::size_t i = 0; i < result.walked.size(); ++i) {
    const Walked& w = result.walked[i];
    const std::string head =
        fmt::format("{} {:>7} {:>6} {:>6}", i == result.best ? "→" : " ", scaling::count_text(w.parameters), w.model.layers, w.model.width);
    if (!w.run)
      out += fmt::format("{} {}\n", head, w.reason);
    else
      out += fmt::format("{} {:>9} {:>12} {:>5.1f}% {:>8} {:>6.3g} {:>7.4f} {:>9.2f}  {}\n", head, format(Seconds(w.step_seconds)),
                         scaling::count_text(w.tokens_per_s), 100 * w.mfu, scaling::count_text(w.at.tokens), w.at.tokens_per_parameter(),
                         w.loss, w.device_hours / 24 / request.base->devices, to_text(*w.run));
  }
  const Walked& best = result.walked[*result.best];
  // A tenth of what laws differ by at these budgets.
  constexpr double kNoDifference = 0.003;
  const Walked *smallest = &best, *largest = &best;
  for (const Walked& w : result.walked)
    if (w.run && w.loss <= best.loss + kNoDifference)
      smallest = w.parameters < smallest->parameters ? &w : smallest, largest = w.parameters > largest->parameters ? &w : largest;
  out += fmt::format(
      "  from {} to {} parameters the loss is within {} nats of the least, which no law knows so well: the smallest serves cheapest\n",
      scaling::count_text(smallest->parameters), scaling::count_text(largest->parameters), kNoDifference);
  const auto money = dollars_of(request, best.device_hours);
  const auto energy = energy_of(request, best.device_hours);
  return out + fmt::format("  {:.0f} device-hours; money: {}; energy: {}\n", best.device_hours,
                           money ? fmt::format("${:.0f}", *money) : "not given (--price)",
                           energy ? fmt::format("{:.0f} kWh", *energy) : "not given (--watts)");
}

std::string served_line(const ScaleResult& result, const char* what, const scaling::ServedOptimum& s) {
  const auto hours = hours_per_flop(result);
  const auto money = hours ? dollars_of(result.request, s.total() * *hours) : std::nullopt;
  return fmt::format("  {:<18}N {:>8}  D {:>8}  D/N {:>6.3g}  loss {:.3f}  training {:.3g} + serving {:.3g} = {:.3g} FLOP{}\n", what,
                     scaling::count_text(s.at.parameters), scaling::count_text(s.at.tokens), s.at.tokens_per_parameter(), s.loss,
                     s.at.flops(), s.serving, s.total(), money ? fmt::format(", ${:.0f}", *money) : "");
}

std::string serving_text(const ScaleResult& result) {
  const scaling::Serving& serving = *result.request.serving;
  std::string out = fmt::format("\nserving {} tokens, {}: 6·N·D + {}2·N·T, by {}\n", scaling::count_text(serving.tokens),
                                result.request.lifetime ? "least loss of which training and serving cost the budget"
                                                        : "least lifetime cost at the loss of the budget's optimum",
                                serving.weight == 1 ? "" : fmt::format("{:.3g}·", serving.weight), result.request.surface.id);
  out += served_line(result, "compute-optimal", *result.unserved) + served_line(result, "with serving", *result.served);
  return out + fmt::format("  {:.2f} times the parameters on {:.2f} times the tokens; lifetime cost {:+.1f} %\n",
                           result.served->at.parameters / result.unserved->at.parameters,
                           result.served->at.tokens / result.unserved->at.tokens,
                           100 * (result.served->total() / result.unserved->total() - 1));
}

std::string suggestion_text(const ScaleResult& result) {
  const Suggestion& s = result.suggestion;
  if (!s.model) return "";
  const model::ModelSpec& m = *s.model;
  return fmt::format(
      "\na shape: {} layers of width {}, {} heads of {} ({} key/value), gated MLP {}, vocabulary {}{}: {} parameters exactly,\n"
      "of which {} are embeddings{}; {} tokens, {:.3g} a parameter{}\n",
      m.layers, m.width, m.heads, m.head_dim, m.kv_heads, m.ffn_width, format_count(m.vocab), m.tied_embeddings ? ", tied" : "",
      format_count(s.counts.total.value), format_count(s.counts.embedding.value), m.tied_embeddings ? "" : " (and as many the head)",
      scaling::count_text(s.at.tokens), s.at.tokens_per_parameter(),
      s.loss ? fmt::format(", loss {:.3f} by {}", *s.loss, result.request.surface.id) : "");
}

std::string training_text(const scaling::TrainingAdvice& t) {
  std::string names;
  for (const scaling::PublishedRun& run : t.near) names += (names.empty() ? "" : ", ") + std::string(run.name);
  const auto range = [](const scaling::Range& r, auto&& show) {
    return r.low == r.high ? show(r.low) : show(r.low) + " to " + show(r.high);
  };
  std::string out = "\nto begin with\n";
  out += fmt::format("  learning rate     {} in published runs of this size ({}); {:.2g} by DeepSeek LLM's formula{}\n",
                     range(t.published_learning_rate, [](double x) { return fmt::format("{:.2g}", x); }), names, t.learning_rate,
                     t.beyond ? " (extrapolation)" : "");
  out +=
      fmt::format("  tokens per step   {}; {} by DeepSeek LLM's formula{}{}\n", range(t.published_batch, scaling::count_text),
                  scaling::count_text(t.batch_tokens), t.beyond ? " (extrapolation)" : "",
                  t.critical_batch ? fmt::format("; Kaplan's critical batch at this loss {}", scaling::count_text(*t.critical_batch)) : "");
  out += fmt::format("  steps             {} of {} tokens, the first {} of them warm-up\n", format_count(t.steps),
                     scaling::count_text(t.tokens_per_step), format_count(t.warmup_steps));
  constexpr double kSame = 1.25;
  if (t.growth <= kSame && t.growth >= 1 / kSame)
    return out + "  a batch k times as large takes a learning rate √k times as large (Adam; accounting A6)\n";
  const auto scaled = [&](config::BatchRule rule) {
    return range(t.published_learning_rate,
                 [&](double x) { return fmt::format("{:.2g}", config::learning_rate_for_batch(x, t.growth, rule)); });
  };
  out += fmt::format(
      "  at that batch     {:.3g} times the published runs': learning rate {} by the square root (Adam), {} by the linear rule\n", t.growth,
      scaled(config::BatchRule::square_root), scaled(config::BatchRule::linear));
  const auto warning = scaling::warn_of_batch_growth(t.growth, config::BatchRule::linear);
  return warning ? out + "  " + *warning + "\n" : out;
}

}  // namespace

nlohmann::json to_json(const ScaleResult& result) {
  const ScaleRequest& request = result.request;
  nlohmann::json laws = nlohmann::json::array(), walked = nlohmann::json::array();
  for (const LawAdvice& row : result.laws) laws.push_back(law_json(row));
  for (const Walked& w : result.walked) walked.push_back(walked_json(w, request));
  nlohmann::json out = {{"budget", {{"flops", result.flops}, {"device_hours", optional_json(request.device_hours)}}},
                        {"chosen_law", request.chosen.id},
                        {"surface", request.surface.id},
                        {"laws", laws},
                        {"cluster", nullptr},
                        {"serving", nullptr},
                        {"suggestion", suggestion_json(result.suggestion)},
                        {"training", training_json(result.training)},
                        {"warnings", result.warnings}};
  if (request.base)
    out["cluster"] = {{"id", request.base->hardware->id},
                      {"devices", request.base->devices},
                      {"tokens_per_step", request.base->tokens_per_step()},
                      {"sequence_length", request.base->sequence_length},
                      {"shapes", walked},
                      {"best", *result.best}};
  if (result.served)
    out["serving"] = {{"tokens", request.serving->tokens},
                      {"weight", request.serving->weight},
                      {"budget_pays_for_serving", request.lifetime},
                      {"compute_optimal", served_json(result, *result.unserved)},
                      {"with_serving", served_json(result, *result.served)}};
  return out;
}

std::string to_text(const ScaleResult& result) {
  std::string out =
      fmt::format("budget: {} of 6·N·D{}\n\n", scaling::flops_text(result.flops),
                  result.request.device_hours
                      ? fmt::format(", {:.0f} device-hours at the modelled pace of the best shape below", *result.request.device_hours)
                  : result.request.base ? ""
                                        : "; time, money and energy not given (--cluster, --price, --watts)");
  out += laws_text(result);
  if (!result.walked.empty()) out += walk_text(result);
  if (result.served) out += serving_text(result);
  out += suggestion_text(result) + training_text(result.training);
  for (const std::string& warning : result.warnings) out += "warning: " + warning + "\n";
  return out;
}

}  // namespace longhaul::plan
