#include "scaling/fit_law.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <nlopt.hpp>
#include <numeric>
#include <thread>

#include "scaling/loss_form.h"
#include "units/error.h"
#include "units/format.h"
#include "units/statistics.h"

namespace longhaul::scaling {
namespace {

/// Huber's loss in units of δ²: ½r² within one δ, linear beyond. L-BFGS stops by relative change, so the unit only keeps numbers near 1.
double huber(double r) { return std::abs(r) <= 1 ? 0.5 * r * r : std::abs(r) - 0.5; }
double huber_slope(double r) { return std::clamp(r, -1.0, 1.0); }

struct Descent {
  std::vector<double> theta;
  double objective = 0;
};

/// The weighted sum over the points, and a descent from a start.
class Objective {
 public:
  Objective(const LossForm& form, const std::vector<Sample>& samples, std::vector<double> weights, double delta)
      : form_(form), samples_(samples), weights_(std::move(weights)), delta_(delta) {}

  double operator()(const std::vector<double>& theta, std::vector<double>* gradient) const {
    double total = 0;
    Gradient of_point{};
    if (gradient) std::fill(gradient->begin(), gradient->end(), 0.0);
    for (std::size_t i = 0; i < samples_.size(); ++i) {
      if (weights_[i] == 0) continue;
      const double r = (form_.log_loss(theta.data(), samples_[i], gradient ? &of_point : nullptr) - samples_[i].log_loss) / delta_;
      total += weights_[i] * huber(r);
      if (!gradient) continue;
      const double slope = weights_[i] * huber_slope(r) / delta_;
      for (std::size_t k = 0; k < theta.size(); ++k) (*gradient)[k] += slope * of_point[k];
    }
    return total;
  }

  Descent descend(std::vector<double> theta) const {
    const auto [low, high] = form_.bounds();
    for (std::size_t k = 0; k < theta.size(); ++k) theta[k] = std::clamp(theta[k], low[k], high[k]);
    Descent out{theta, (*this)(theta, nullptr)};
    // A second descent forgets the curvature that the first gathered far away.
    for (int round = 0; round < 2; ++round) out = once(out, low, high);
    return out;
  }

 private:
  Descent once(const Descent& start, const std::vector<double>& low, const std::vector<double>& high) const {
    nlopt::opt optimizer(nlopt::LD_LBFGS, static_cast<unsigned>(start.theta.size()));
    optimizer.set_lower_bounds(low);
    optimizer.set_upper_bounds(high);
    optimizer.set_min_objective(&Objective::call, const_cast<Objective*>(this));
    optimizer.set_ftol_rel(1e-10);
    optimizer.set_maxeval(500);
    Descent out = start;
    try {
      optimizer.optimize(out.theta, out.objective);
    } catch (const std::runtime_error&) {  // rounding stopped it: theta holds the best point
      out.objective = (*this)(out.theta, nullptr);
    }
    // NLopt's reports are believed only where they are better: a line search that failed may leave theta anywhere.
    const bool finite = std::all_of(out.theta.begin(), out.theta.end(), [](double x) { return std::isfinite(x); });
    return finite && out.objective <= start.objective ? out : start;
  }
  static double call(const std::vector<double>& theta, std::vector<double>& gradient, void* self) {
    return (*static_cast<const Objective*>(self))(theta, gradient.empty() ? nullptr : &gradient);
  }

  const LossForm& form_;
  const std::vector<Sample>& samples_;
  std::vector<double> weights_;
  double delta_;
};

/// Calls work(i) for every i below `count`, shared out over the processors; `tick` from this thread alone.
template <class Work, class Tick>
void for_all(std::size_t count, const Work& work, const Tick& tick) {
  const std::size_t threads = std::min<std::size_t>(std::max(1u, std::thread::hardware_concurrency()), std::max<std::size_t>(1, count));
  const auto share = [&](std::size_t first) {
    for (std::size_t i = first; i < count; i += threads) work(i);
  };
  std::vector<std::jthread> others;
  for (std::size_t t = 1; t < threads; ++t) others.emplace_back(share, t);
  for (std::size_t i = 0; i < count; i += threads) work(i), tick(i);
}

/// SplitMix64 (Steele et al. 2014): a stream of its own for each refit, so that their order and number change none of them.
class Random {
 public:
  Random(std::uint64_t seed, std::uint64_t stream) : state_(seed * 0x9E3779B97F4A7C15ull + (stream + 1) * 0xD1B54A32D192ED03ull) {
    (void)next();
  }
  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9E3779B97F4A7C15ull;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
  }
  /// From 0 to below `count`; the bias of the remainder is below count/2^64.
  std::size_t below(std::size_t count) { return static_cast<std::size_t>(next() % count); }

 private:
  std::uint64_t state_;
};

class Fit {
 public:
  Fit(const std::vector<Point>& points, const FitLawOptions& options)
      : options_(options), form_(options.form, points), samples_(form_.samples(points)) {}

  FittedLaw run() {
    const auto start = std::chrono::steady_clock::now();
    solve();
    resample();
    describe();
    out_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return std::move(out_);
  }

 private:
  void tick(std::size_t done) const { options_.progress(done, out_.grid + out_.starts + options_.bootstrap); }

  void solve() {
    const Objective objective(form_, samples_, std::vector<double>(samples_.size(), 1.0), options_.huber_delta);
    std::vector<std::vector<double>> grid = form_.grid();
    std::vector<double> coarse(grid.size());
    out_.grid = grid.size();
    out_.starts = std::clamp<std::size_t>(options_.starts, 1, grid.size());
    for_all(
        grid.size(), [&](std::size_t i) { coarse[i] = objective(grid[i], nullptr); }, [&](std::size_t i) { tick(i); });
    std::vector<std::size_t> order(grid.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t i, std::size_t j) { return coarse[i] < coarse[j]; });
    std::vector<Descent> ends(out_.starts);
    for_all(
        out_.starts, [&](std::size_t i) { ends[i] = objective.descend(grid[order[i]]); }, [&](std::size_t i) { tick(out_.grid + i); });
    best_ = *std::min_element(ends.begin(), ends.end(), [](const Descent& a, const Descent& b) { return a.objective < b.objective; });
    // A millionth of the objective moves no coefficient by what could be printed.
    out_.agreeing = static_cast<std::size_t>(
        std::count_if(ends.begin(), ends.end(), [&](const Descent& end) { return end.objective <= best_.objective * (1 + 1e-6); }));
  }

  void resample() {
    out_.draws.resize(options_.bootstrap);
    const auto refit = [&](std::size_t i) {
      Random random(options_.seed, i);
      std::vector<double> weights(samples_.size(), 0.0);
      for (std::size_t k = 0; k < samples_.size(); ++k) weights[random.below(samples_.size())] += 1;
      const Objective objective(form_, samples_, std::move(weights), options_.huber_delta);
      out_.draws[i] = form_.coefficients(objective.descend(best_.theta).theta);
    };
    for_all(options_.bootstrap, refit, [&](std::size_t i) { tick(out_.grid + out_.starts + i); });
  }

  void describe() {
    out_.form = options_.form;
    const std::vector<double> values = form_.coefficients(best_.theta);
    const std::vector<std::string> names = coefficient_names(options_.form);
    for (std::size_t k = 0; k < values.size(); ++k) {
      Coefficient& c = out_.coefficients.emplace_back();
      c.name = names[k], c.value = values[k];
      if (out_.draws.size() < kFewestDraws) continue;
      std::vector<double> column;
      for (const std::vector<double>& draw : out_.draws) column.push_back(draw[k]);
      const double mean = std::accumulate(column.begin(), column.end(), 0.0) / static_cast<double>(column.size());
      double squares = 0;
      for (const double x : column) squares += (x - mean) * (x - mean);
      c.standard_error = std::sqrt(squares / static_cast<double>(column.size() - 1));
      c.interval = middle_80(std::move(column));
    }
    residuals();
    for (const std::string& what : form_.at_bounds(best_.theta))
      out_.warnings.push_back(fmt::format("the points do not decide {}: it ended at the edge of what was tried", what));
    constexpr double kLeastExplained = 0.5;
    if (out_.r_squared < kLeastExplained)
      out_.warnings.push_back(fmt::format("the points hardly follow a law of this form: it explains {:.0f} % of the spread of log loss",
                                          100 * std::max(0.0, out_.r_squared)));
  }

  void residuals() {
    out_.objective = best_.objective * options_.huber_delta * options_.huber_delta;
    double mean = 0, around = 0, squares = 0;
    for (const Sample& s : samples_) mean += s.log_loss / static_cast<double>(samples_.size());
    std::vector<double> sizes;
    for (const Sample& s : samples_) {
      const double predicted = form_.log_loss(best_.theta.data(), s, nullptr);
      out_.predicted.push_back(std::exp(predicted));
      out_.residuals.push_back(predicted - s.log_loss);
      sizes.push_back(std::abs(std::expm1(out_.residuals.back())));
      squares += out_.residuals.back() * out_.residuals.back(), around += (s.log_loss - mean) * (s.log_loss - mean);
    }
    out_.worst_error = *std::max_element(sizes.begin(), sizes.end());
    out_.median_error = upper_median(std::move(sizes));
    out_.r_squared = around > 0 ? 1 - squares / around : 0;
  }

  const FitLawOptions& options_;
  const LossForm form_;
  const std::vector<Sample> samples_;
  Descent best_;
  FittedLaw out_;
};

}  // namespace

std::vector<double> FittedLaw::values() const {
  std::vector<double> out;
  for (const Coefficient& c : coefficients) out.push_back(c.value);
  return out;
}

FittedLaw fit_law(const std::vector<Point>& points, const FitLawOptions& options) {
  require_identifiable(options.form, points);
  return Fit(points, options).run();
}

std::size_t OutlierRule::of(std::size_t points) const {
  return count.value_or(static_cast<std::size_t>(std::llround(share * static_cast<double>(points))));
}

OutlierRule parse_outlier_rule(const std::string& text) {
  const bool percent = text.ends_with('%');
  const auto number = parse_count(percent ? std::string_view(text).substr(0, text.size() - 1) : std::string_view(text));
  if (!number || *number < 0 || (percent && *number > 50))
    throw UsageError(
        fmt::format("--drop-lowest-tokens-per-parameter '{}': write a number of points like 5, or a share up to 50% like 2%", text));
  if (percent) return {.share = static_cast<double>(*number) / 100, .count = std::nullopt};
  return {.share = 0, .count = static_cast<std::size_t>(*number)};
}

std::vector<Point> without_outliers(const std::vector<Point>& points, const OutlierRule& rule) {
  const std::size_t drop = rule.of(points.size());
  if (drop >= points.size())
    throw UsageError(fmt::format("--drop-lowest-tokens-per-parameter {}: the file has {} points; leave some", drop, points.size()));
  std::vector<double> ratios;
  for (const Point& p : points) ratios.push_back(p.at.tokens_per_parameter());
  std::sort(ratios.begin(), ratios.end());
  std::vector<Point> out;
  std::size_t left = drop;  // of equal ratios the first in the file go
  for (const Point& p : points) {
    const bool low = drop > 0 && p.at.tokens_per_parameter() <= ratios[drop - 1];
    if (low && left > 0)
      --left;
    else
      out.push_back(p);
  }
  return out;
}

Law to_law(const FittedLaw& fitted, const std::vector<Point>& points, std::string title, std::string source, bool embeddings) {
  Law law;
  law.id = "fitted", law.title = std::move(title), law.source = std::move(source);
  law.trust = Trust::fitted, law.embeddings = embeddings;
  law.caveats = fitted.warnings;
  law.form = fitted.form, law.coefficients = fitted.values();
  if (!fitted.draws.empty())
    for (const Coefficient& c : fitted.coefficients) law.standard_errors[c.name] = c.standard_error;
  law.draws = fitted.draws;
  law.parameters = parameters_of(points), law.tokens = tokens_of(points), law.flops = flops_of(points);
  return law;
}

}  // namespace longhaul::scaling
