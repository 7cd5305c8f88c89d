#include "scaling/fit_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "scaling/text.h"

namespace longhaul::scaling {
namespace {

std::string formula(Form form) {
  switch (form) {
    case Form::chinchilla:
      return "L = E + A/N^alpha + B/D^beta";
    case Form::kaplan:
      return "L = [(Nc/N)^(alpha_N/alpha_D) + Dc/D]^alpha_D";
    case Form::power_flops:
      return "L = L_inf + a·C^-alpha";
    case Form::power_parameters:
      return "L = L_inf + a·N^-alpha";
    case Form::power_tokens:
      return "L = L_inf + a·D^-alpha";
    case Form::line:
      break;
  }
  return "";
}

std::string rule_text(const PointsFit& fit) {
  const std::size_t dropped = fit.all.size() - fit.kept.size();
  if (dropped == 0) return fmt::format("all {} points", fit.all.size());
  return fmt::format("{} points, without the {} of fewest tokens per parameter{}", fit.kept.size(), dropped,
                     fit.rule.count ? "" : fmt::format(" ({:g} %)", fit.rule.share * 100));
}

/// Points by the size of their residual, largest first.
std::vector<std::size_t> by_residual(const PointsFit& fit) {
  std::vector<std::size_t> order(fit.kept.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto& r = fit.fitted.residuals;
  std::stable_sort(order.begin(), order.end(), [&](std::size_t i, std::size_t j) { return std::abs(r[i]) > std::abs(r[j]); });
  return order;
}

Law bare_law(const PointsFit& fit) { return to_law(fit.fitted, fit.kept, fit.label, fit.label, fit.embeddings); }

nlohmann::json fitted_json(const FittedLaw& fitted, std::size_t points) {
  nlohmann::json coefficients = nlohmann::json::object();
  const bool refits = !fitted.draws.empty();
  for (const Coefficient& c : fitted.coefficients)
    coefficients[c.name] = {{"value", c.value},
                            {"standard_error", refits ? nlohmann::json(c.standard_error) : nlohmann::json()},
                            {"interval_80", range_json(refits ? std::optional(c.interval) : std::nullopt)}};
  return {{"points", points},
          {"coefficients", coefficients},
          {"objective", fitted.objective},
          {"median_error", fitted.median_error},
          {"worst_error", fitted.worst_error},
          {"r_squared_of_log_loss", fitted.r_squared},
          {"starts", fitted.starts},
          {"starts_of_grid", fitted.grid},
          {"starts_that_agree", fitted.agreeing},
          {"seconds", fitted.seconds},
          {"warnings", fitted.warnings}};
}

std::string coefficient_text(const FittedLaw& fitted, std::size_t k) {
  const Coefficient& c = fitted.coefficients[k];
  if (fitted.draws.empty()) return fmt::format("{:.5g}", c.value);
  return fmt::format("{:.5g} ± {:.3g} [{:.4g}, {:.4g}]", c.value, c.standard_error, c.interval.low, c.interval.high);
}

std::string coefficients_text(const PointsFit& fit) {
  constexpr int kName = 8, kColumn = 64;
  std::string out =
      fmt::format("  {:<{}}{:<{}}{}\n", "", kName, rule_text(fit), kColumn, fit.of_all ? fmt::format("all {} points", fit.all.size()) : "");
  for (std::size_t k = 0; k < fit.fitted.coefficients.size(); ++k)
    out += fmt::format("  {:<{}}{:<{}}{}\n", fit.fitted.coefficients[k].name, kName, coefficient_text(fit.fitted, k), kColumn,
                       fit.of_all ? coefficient_text(*fit.of_all, k) : "");
  const auto quality = [](const FittedLaw& f) {
    return fmt::format("median {:.2f} %, worst {:.2f} %", 100 * f.median_error, 100 * f.worst_error);
  };
  return out + fmt::format("  {:<{}}{:<{}}{}\n", "error", kName, quality(fit.fitted), kColumn, fit.of_all ? quality(*fit.of_all) : "");
}

std::string optima_text(const PointsFit& fit) {
  const Law law = bare_law(fit);
  if (!law.surface()) return "";
  if (!fit.fitted.warnings.empty()) return "\nno optimum is given: the points do not decide the law (warnings above)\n";
  std::string out =
      fmt::format("\noptimum at a budget of 6·N·D, 80 % intervals; N grows as C^{:.3f}\n", law.surface()->parameters_exponent());
  for (const double flops : budgets_of(fit)) {
    const Advice a = advise(law, flops);
    out += fmt::format("  {:<12}N {:>7} {:<19} D {:>7} {:<19} D/N {:>5.3g} {:<12} L {:<22}{}\n", flops_text(flops),
                       count_text(a.at.parameters), range_text(a.parameters), count_text(a.at.tokens), range_text(a.tokens),
                       a.at.tokens_per_parameter(), range_text(a.tokens_per_parameter), loss_text(*a.loss, a.loss_interval),
                       a.beyond ? "extrapolation: " + beyond_text(a.beyond) : "");
  }
  return out;
}

std::string residuals_text(const PointsFit& fit) {
  constexpr std::size_t kShown = 8;
  std::string out = "\nlargest residuals (all: --json)\n";
  const auto order = by_residual(fit);
  for (std::size_t i = 0; i < std::min(kShown, order.size()); ++i) {
    const Point& p = fit.kept[order[i]];
    out += fmt::format("  point {:<5} N {:>7}  D {:>7}  D/N {:>6.3g}  loss {:.3f}  fit {:.3f}  {:+.2f} %\n", p.row + 1,
                       count_text(p.at.parameters), count_text(p.at.tokens), p.at.tokens_per_parameter(), p.loss,
                       fit.fitted.predicted[order[i]], 100 * std::expm1(fit.fitted.residuals[order[i]]));
  }
  return out;
}

}  // namespace

PointsFit fit_points(std::vector<Point> points, std::string label, const OutlierRule& rule, bool default_rule,
                     const FitLawOptions& options) {
  PointsFit out;
  out.label = std::move(label), out.all = std::move(points), out.rule = rule, out.default_rule = default_rule, out.options = options;
  out.kept = without_outliers(out.all, rule);
  out.fitted = fit_law(out.kept, options);
  if (out.kept.size() < out.all.size()) out.of_all = fit_law(out.all, options);
  return out;
}

Law to_law(const PointsFit& fit, const std::string& sha256) {
  Law law = bare_law(fit);
  law.title = fmt::format("{} fitted to {}", name(fit.options.form), fit.label);
  law.source = fmt::format("{}, SHA-256 {}; {}; Huber delta {:g} of log residuals, {} refits, seed {}", fit.label, sha256, rule_text(fit),
                           fit.options.huber_delta, fit.options.bootstrap, fit.options.seed);
  return law;
}

std::vector<double> budgets_of(const PointsFit& fit) {
  const double decade = std::pow(10, std::floor(std::log10(flops_of(fit.kept).high)));
  return {decade, decade * 10, decade * 100, decade * 1000};
}

nlohmann::json to_json(const PointsFit& fit) {
  const Law law = bare_law(fit);
  nlohmann::json residuals = nlohmann::json::array(), optima = nlohmann::json::array();
  for (std::size_t i = 0; i < fit.kept.size(); ++i) {
    const Point& p = fit.kept[i];
    residuals.push_back({{"point", p.row + 1},
                         {"parameters", p.at.parameters},
                         {"tokens", p.at.tokens},
                         {"loss", p.loss},
                         {"predicted", fit.fitted.predicted[i]},
                         {"log_residual", fit.fitted.residuals[i]}});
  }
  if (law.surface() && fit.fitted.warnings.empty())
    for (const double flops : budgets_of(fit)) optima.push_back(advice_json(advise(law, flops)));
  return {{"points", fit.all.size()},
          {"form", name(fit.options.form)},
          {"formula", formula(fit.options.form)},
          {"range", {{"parameters", range_json(law.parameters)}, {"tokens", range_json(law.tokens)}, {"flops", range_json(law.flops)}}},
          {"method", {{"huber_delta", fit.options.huber_delta}, {"bootstrap", fit.options.bootstrap}, {"seed", fit.options.seed}}},
          {"rule", rule_text(fit)},
          {"fit", fitted_json(fit.fitted, fit.kept.size())},
          {"fit_of_all_points", fit.of_all ? fitted_json(*fit.of_all, fit.all.size()) : nlohmann::json()},
          {"optima", optima},
          {"residuals", residuals}};
}

std::string to_text(const PointsFit& fit) {
  const Range n = parameters_of(fit.all), d = tokens_of(fit.all), c = flops_of(fit.all);
  std::string out = fmt::format("{}: {} points, N {} to {}, D {} to {}, {:.3g} to {:.3g} FLOP\n", fit.label, fit.all.size(),
                                count_text(n.low), count_text(n.high), count_text(d.low), count_text(d.high), c.low, c.high);
  out += fmt::format("{}; Huber loss (delta {:g}) of log residuals; {} of {} starts descended from, {} agree; ", formula(fit.options.form),
                     fit.options.huber_delta, fit.fitted.starts, fit.fitted.grid, fit.fitted.agreeing);
  out += fit.options.bootstrap > 0
             ? fmt::format("± standard error and 80 % interval of {} refits, seed {}\n\n", fit.options.bootstrap, fit.options.seed)
             : "no refits, so no intervals\n\n";
  out += coefficients_text(fit);
  if (fit.of_all && fit.default_rule)
    out +=
        "\nPoints of few tokens per parameter hardly train their model, and a handful of them decides the term in D: both fits are shown, "
        "and the\n"
        "one without them is written and used below. --drop-lowest-tokens-per-parameter 0 takes all.\n";
  for (const std::string& warning : fit.fitted.warnings) out += "warning: " + warning + "\n";
  return out + optima_text(fit) + residuals_text(fit);
}

}  // namespace longhaul::scaling
