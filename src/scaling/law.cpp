#include "scaling/law.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "units/error.h"
#include "units/nearest.h"

namespace longhaul::scaling {
namespace {

constexpr std::array<std::string_view, 6> kForms{"chinchilla", "kaplan", "power-flops", "power-parameters", "power-tokens", "line"};
constexpr std::array<std::string_view, 4> kTrusts{"verified", "secondary", "fitted", "rule"};

/// Logarithm of a sum whose terms are given in logarithms: no overflow where a coefficient or a count is huge.
double log_sum(double x, double y) {
  const double most = std::max(x, y);
  return most + std::log1p(std::exp(std::min(x, y) - most));
}

/// Each draw's figure, in the middle of them.
template <class Figure>
std::optional<Range> over_draws(const Law& law, const Figure& figure) {
  std::vector<double> values;
  for (const std::vector<double>& draw : law.draws)
    if (const auto surface = surface_of(law.form, draw)) values.push_back(figure(*surface));
  // Refits without a finite optimum have no middle.
  const bool finite = std::all_of(values.begin(), values.end(), [](double value) { return std::isfinite(value); });
  if (values.size() < kFewestDraws || !finite) return std::nullopt;
  return middle_80(std::move(values));
}

void turn_line(const Line& line, double flops, Advice& out) {
  if (!line.exponent_interval) return;
  const double log_ratio = std::log(flops / line.pivot_flops);
  const double one = std::exp((line.exponent_interval->low - line.exponent) * log_ratio);
  const double other = std::exp((line.exponent_interval->high - line.exponent) * log_ratio);
  const Range factor{std::min(one, other), std::max(one, other)};
  const bool parameters = line.of == Line::Of::parameters;
  const Range straight{(parameters ? out.at.parameters : out.at.tokens) * factor.low,
                       (parameters ? out.at.parameters : out.at.tokens) * factor.high};
  const double product = flops / kFlopsPerParameterToken;
  const Range inverse{product / straight.high, product / straight.low};
  out.parameters = parameters ? straight : inverse, out.tokens = parameters ? inverse : straight;
  out.tokens_per_parameter = Range{out.tokens->low / out.parameters->high, out.tokens->high / out.parameters->low};
}

}  // namespace

double Surface::loss(double parameters, double tokens) const {
  const double terms = log_sum(std::log(a) - alpha * std::log(parameters), std::log(b) - beta * std::log(tokens));
  return irreducible + std::exp(outer * terms);
}

Allocation Surface::optimum(double flops) const {
  const double log_product = std::log(flops / kFlopsPerParameterToken);
  const double log_g = (std::log(alpha) + std::log(a) - std::log(beta) - std::log(b)) / (alpha + beta);
  return {std::exp(log_g + log_product * beta / (alpha + beta)), std::exp(-log_g + log_product * alpha / (alpha + beta))};
}

std::optional<double> Surface::tokens_for(double loss, double parameters) const {
  if (!(loss > irreducible)) return std::nullopt;
  const double left = std::pow(loss - irreducible, 1 / outer) - a * std::pow(parameters, -alpha);
  if (!(left > 0)) return std::nullopt;
  return std::exp((std::log(b) - std::log(left)) / beta);
}

Surface kaplan_surface(double nc, double dc, double alpha_n, double alpha_d) {
  const double ratio = alpha_n / alpha_d;
  return {.irreducible = 0, .a = std::pow(nc, ratio), .alpha = ratio, .b = dc, .beta = 1, .outer = alpha_d};
}

double PowerLaw::loss(double x) const { return irreducible + a * std::pow(x, -alpha); }

Allocation Line::optimum(double flops) const {
  const double given = value * std::pow(flops / at_flops, exponent);
  const double other = flops / kFlopsPerParameterToken / given;
  return of == Of::parameters ? Allocation{given, other} : Allocation{other, given};
}

Line line_through(const std::vector<Allocation>& pairs) {
  double x = 0, y = 0, xx = 0, xy = 0;
  const double n = static_cast<double>(pairs.size());
  for (const Allocation& p : pairs) x += std::log(p.flops()) / n, y += std::log(p.parameters) / n;
  for (const Allocation& p : pairs) {
    const double dx = std::log(p.flops()) - x;
    xx += dx * dx, xy += dx * (std::log(p.parameters) - y);
  }
  return {.of = Line::Of::parameters,
          .value = std::exp(y),
          .at_flops = std::exp(x),
          .exponent = xy / xx,
          .exponent_interval = {},
          .pivot_flops = std::exp(x)};
}

std::string_view name(Form form) { return kForms[static_cast<std::size_t>(form)]; }
std::string_view name(Trust trust) { return kTrusts[static_cast<std::size_t>(trust)]; }

Form parse_form(std::string_view text) {
  const auto found = std::find(kForms.begin(), kForms.end(), text);
  if (found != kForms.end()) return static_cast<Form>(found - kForms.begin());
  throw UsageError(fmt::format("form '{}' is unknown; known: {}; nearest: {}", text, fmt::join(kForms, ", "), nearest(text, kForms)));
}

bool of_one_variable(Form form) { return form == Form::power_flops || form == Form::power_parameters || form == Form::power_tokens; }

std::vector<std::string> coefficient_names(Form form) {
  switch (form) {
    case Form::chinchilla:
      return {"E", "A", "B", "alpha", "beta"};
    case Form::kaplan:
      return {"Nc", "Dc", "alpha_N", "alpha_D"};
    case Form::line:
      return {};
    default:
      return {"L_inf", "a", "alpha"};
  }
}

std::optional<Surface> surface_of(Form form, const std::vector<double>& c) {
  if (form == Form::chinchilla) return Surface{.irreducible = c[0], .a = c[1], .alpha = c[3], .b = c[2], .beta = c[4], .outer = 1};
  if (form == Form::kaplan) return kaplan_surface(c[0], c[1], c[2], c[3]);
  return std::nullopt;
}

std::optional<PowerLaw> power_law_of(Form form, const std::vector<double>& c) {
  if (!of_one_variable(form)) return std::nullopt;
  return PowerLaw{c[0], c[1], c[2]};
}

std::optional<Surface> Law::surface() const { return surface_of(form, coefficients); }

Range middle_80(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto at = [&](double share) {
    const double place = share * static_cast<double>(values.size() - 1);
    const std::size_t below = static_cast<std::size_t>(place);
    const std::size_t above = std::min(below + 1, values.size() - 1);
    return values[below] + (place - static_cast<double>(below)) * (values[above] - values[below]);
  };
  return {at(0.1), at(0.9)};
}

Advice advise(const Law& law, double flops) {
  const std::optional<Surface> surface = law.surface();
  if (!law.line && !surface)
    throw UsageError(
        fmt::format("law {} is of the form {}: a loss of one variable, which says nothing of how to split a budget; choose "
                    "another law (`longhaul scale --laws`)",
                    law.id, name(law.form)));
  Advice out;
  out.at = law.line ? law.line->optimum(flops) : surface->optimum(flops);
  if (law.line) {
    turn_line(*law.line, flops, out);
  } else {
    out.parameters = over_draws(law, [&](const Surface& s) { return s.optimum(flops).parameters; });
    out.tokens = over_draws(law, [&](const Surface& s) { return s.optimum(flops).tokens; });
    out.tokens_per_parameter = over_draws(law, [&](const Surface& s) { return s.optimum(flops).tokens_per_parameter(); });
  }
  if (const auto estimate = estimate_loss(law, out.at)) out.loss = estimate->loss, out.loss_interval = estimate->interval;
  const auto compare = [&](const std::optional<Range>& runs, double here) {
    if (!runs || (here <= runs->high && here >= runs->low)) return;
    const double beyond = here / (here > runs->high ? runs->high : runs->low);
    if (!out.beyond || std::abs(std::log(beyond)) > std::abs(std::log(*out.beyond))) out.beyond = beyond;
  };
  compare(law.flops, flops);
  if (!law.flops) compare(law.parameters, out.at.parameters), compare(law.tokens, out.at.tokens);
  return out;
}

std::optional<LossEstimate> estimate_loss(const Law& law, const Allocation& at) {
  const auto surface = law.surface();
  if (!surface) return std::nullopt;
  return LossEstimate{surface->loss(at), over_draws(law, [&](const Surface& s) { return s.loss(at); })};
}

}  // namespace longhaul::scaling
