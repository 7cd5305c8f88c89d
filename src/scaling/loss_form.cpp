#include "scaling/loss_form.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "units/error.h"

namespace longhaul::scaling {
namespace {

/// Exponents of every law published lie between 0.03 and 1.
constexpr double kLeastExponent = 1e-3, kMostExponent = 3;
/// Logarithm of a term's nats at the middle of the points, and of E: e^±15 is nothing that a loss could show.
constexpr double kMostTerm = 15, kLeastLogE = -5, kMostLogE = 4;
constexpr double kLeastRatio = 0.1, kMostRatio = 5;

/// log(e^x + e^y), and the share of the first.
struct LogSum {
  double value, first;
};
LogSum log_sum_and_slopes(double x, double y) {
  const double most = std::max(x, y), other = std::exp(std::min(x, y) - most);
  const double first = x >= y ? 1 / (1 + other) : other / (1 + other);
  return {most + std::log1p(other), first};
}

double mean_log(const std::vector<Point>& points, const auto& of) {
  double sum = 0;
  for (const Point& p : points) sum += std::log(of(p));
  return sum / static_cast<double>(points.size());
}

double spread_of(const std::vector<double>& values) {
  double mean = 0, squares = 0;
  for (const double v : values) mean += v / static_cast<double>(values.size());
  for (const double v : values) squares += (v - mean) * (v - mean) / static_cast<double>(values.size());
  return std::sqrt(squares);
}

/// What is left of y's spread once a line in x is taken from it.
double spread_beside(const std::vector<double>& x, const std::vector<double>& y) {
  const double n = static_cast<double>(x.size());
  double mx = 0, my = 0, xx = 0, xy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) mx += x[i] / n, my += y[i] / n;
  for (std::size_t i = 0; i < x.size(); ++i) xx += (x[i] - mx) * (x[i] - mx), xy += (x[i] - mx) * (y[i] - my);
  std::vector<double> rest;
  for (std::size_t i = 0; i < x.size(); ++i) rest.push_back(y[i] - (xx > 0 ? xy / xx * x[i] : 0));
  return spread_of(rest);
}

}  // namespace

LossForm::LossForm(Form form, const std::vector<Point>& points) : form_(form) {
  mean_n_ = mean_log(points, [&](const Point& p) { return variable(p); });
  mean_d_ = mean_log(points, [](const Point& p) { return p.at.tokens; });
}

double LossForm::variable(const Point& p) const {
  return form_ == Form::power_flops ? p.flops : form_ == Form::power_tokens ? p.at.tokens : p.at.parameters;
}

std::vector<Sample> LossForm::samples(const std::vector<Point>& points) const {
  std::vector<Sample> out;
  for (const Point& p : points) out.push_back({std::log(variable(p)) - mean_n_, std::log(p.at.tokens) - mean_d_, std::log(p.loss)});
  return out;
}

double LossForm::log_loss(const double* theta, const Sample& at, Gradient* gradient) const {
  if (form_ == Form::kaplan) {
    const LogSum sum = log_sum_and_slopes(theta[0] - theta[2] * at.n, theta[1] - at.d);
    if (gradient) *gradient = {theta[3] * sum.first, theta[3] * (1 - sum.first), -theta[3] * sum.first * at.n, sum.value, 0};
    return theta[3] * sum.value;
  }
  if (of_one_variable(form_)) {
    const LogSum sum = log_sum_and_slopes(theta[0] - theta[2] * at.n, theta[1]);
    if (gradient) *gradient = {sum.first, 1 - sum.first, -sum.first * at.n, 0, 0};
    return sum.value;
  }
  const LogSum terms = log_sum_and_slopes(theta[0] - theta[3] * at.n, theta[1] - theta[4] * at.d);
  const LogSum sum = log_sum_and_slopes(terms.value, theta[2]);
  if (gradient) {
    const double a = sum.first * terms.first, b = sum.first * (1 - terms.first);
    *gradient = {a, b, 1 - sum.first, -a * at.n, -b * at.d};
  }
  return sum.value;
}

std::vector<double> LossForm::coefficients(const std::vector<double>& t) const {
  if (form_ == Form::kaplan) {
    // t₁ = r·(log Nc − mean), t₂ = log Dc − mean.
    return {std::exp(t[0] / t[2] + mean_n_), std::exp(t[1] + mean_d_), t[2] * t[3], t[3]};
  }
  if (of_one_variable(form_)) return {std::exp(t[1]), std::exp(t[0] + t[2] * mean_n_), t[2]};
  return {std::exp(t[2]), std::exp(t[0] + t[3] * mean_n_), std::exp(t[1] + t[4] * mean_d_), t[3], t[4]};
}

std::vector<std::vector<double>> LossForm::grid() const {
  std::vector<std::vector<double>> out;
  if (form_ == Form::kaplan) {
    for (const double ratio : {0.25, 0.5, 0.75, 1.0, 1.5})
      for (const double outer : {0.05, 0.1, 0.2, 0.4})
        for (double log_nc = 15; log_nc <= 40; log_nc += 5)
          for (double log_dc = 15; log_dc <= 40; log_dc += 5) out.push_back({ratio * (log_nc - mean_n_), log_dc - mean_d_, ratio, outer});
    return out;
  }
  if (of_one_variable(form_)) {
    for (const double alpha : {0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0})
      for (double log_a = 0; log_a <= 25; log_a += 5)
        for (double log_e = -1; log_e <= 1; log_e += 0.5) out.push_back({log_a - alpha * mean_n_, log_e, alpha});
    return out;
  }
  for (double alpha = 0; alpha <= 2; alpha += 0.5)
    for (double beta = 0; beta <= 2; beta += 0.5)
      for (double log_e = -1; log_e <= 1; log_e += 0.5)
        for (double log_a = 0; log_a <= 25; log_a += 5)
          for (double log_b = 0; log_b <= 25; log_b += 5)
            out.push_back({log_a - alpha * mean_n_, log_b - beta * mean_d_, log_e, alpha, beta});
  return out;
}

std::pair<std::vector<double>, std::vector<double>> LossForm::bounds() const {
  if (form_ == Form::kaplan)
    return {{-kMostTerm, -kMostTerm, kLeastRatio, kLeastExponent}, {kMostTerm, kMostTerm, kMostRatio, kMostExponent}};
  if (of_one_variable(form_)) return {{-kMostTerm, kLeastLogE, kLeastExponent}, {kMostTerm, kMostLogE, kMostExponent}};
  return {{-kMostTerm, -kMostTerm, kLeastLogE, kLeastExponent, kLeastExponent},
          {kMostTerm, kMostTerm, kMostLogE, kMostExponent, kMostExponent}};
}

std::vector<std::string> LossForm::at_bounds(const std::vector<double>& theta) const {
  static const std::vector<std::string> kKaplan{"Nc", "Dc", "alpha_N/alpha_D", "alpha_D"}, kOne{"a", "L_inf", "alpha"},
      kChinchilla{"A", "B", "E", "alpha", "beta"};
  const auto& names = form_ == Form::kaplan ? kKaplan : of_one_variable(form_) ? kOne : kChinchilla;
  const auto [low, high] = bounds();
  std::vector<std::string> out;
  for (std::size_t k = 0; k < theta.size(); ++k) {
    const double edge = 1e-3 * (high[k] - low[k]);
    const bool exponent = names[k].starts_with("alpha") || names[k] == "beta";  // small exponents are ordinary
    if (theta[k] <= low[k] + (exponent ? 0 : edge) || theta[k] >= high[k] - edge) out.push_back(names[k]);
  }
  return out;
}

void require_identifiable(Form form, const std::vector<Point>& points) {
  const std::size_t coefficients = coefficient_names(form).size();
  if (coefficients == 0)
    throw UsageError(fmt::format("the form {} is not fitted to losses; choose chinchilla, kaplan or power-flops", name(form)));
  // Three beside the coefficients, so that there are residuals to speak of.
  if (points.size() < coefficients + 3)
    throw UsageError(fmt::format("{} points are too few for the {} coefficients of {}: give at least {}", points.size(), coefficients,
                                 name(form), coefficients + 3));
  std::vector<double> n, d, x, losses;
  for (const Point& p : points) {
    n.push_back(std::log(p.at.parameters)), d.push_back(std::log(p.at.tokens)), losses.push_back(std::log(p.loss));
    x.push_back(std::log(form == Form::power_flops ? p.flops : form == Form::power_tokens ? p.at.tokens : p.at.parameters));
  }
  constexpr double kLeastSpread = 0.05;  // of logarithms: 5 %; less says nothing of an exponent
  if (spread_of(losses) < 1e-9)
    throw UsageError("all points have the same loss: there is nothing to fit; is the column loss what it says?");
  if (of_one_variable(form)) {
    if (spread_of(x) < kLeastSpread)
      throw UsageError(fmt::format("all points have nearly the same {}: an exponent cannot be told; add runs of other sizes",
                                   form == Form::power_flops    ? "flops"
                                   : form == Form::power_tokens ? "tokens"
                                                                : "parameters"));
    return;
  }
  if (spread_of(n) < kLeastSpread)
    throw UsageError(
        "all points have nearly the same parameters: alpha cannot be told; add runs of other model sizes, or fit --form power-tokens");
  if (spread_of(d) < kLeastSpread)
    throw UsageError(
        "all points have nearly the same tokens: beta cannot be told; add runs of other lengths, or fit --form power-parameters");
  if (spread_beside(n, d) < kLeastSpread)
    throw UsageError(
        "tokens follow from parameters in all points (such as a fixed number of tokens per parameter): the terms in N and D cannot be told "
        "apart; add runs at other ratios, or fit --form power-flops");
}

}  // namespace longhaul::scaling
