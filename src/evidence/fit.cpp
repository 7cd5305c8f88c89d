#include "evidence/fit.h"

#include <fmt/format.h>

#include <cmath>
#include <map>
#include <nlopt.hpp>
#include <optional>
#include <set>
#include <thread>

#include "cost/step.h"
#include "evidence/fit_usable.h"
#include "evidence/predict.h"
#include "files/read.h"
#include "units/error.h"

namespace longhaul::evidence {
namespace {

using Id = std::pair<std::string, cost::ParameterKey>;

/// What one pass fits: step times first, then peak memories under the pace that the fitted times give.
enum class Target { time, memory };

bool of(Target target, const Id& id) { return id.first.starts_with(target == Target::memory ? "memory." : "time."); }

std::optional<double> log_ratio(const MeasuredRun& run, const cost::Calibration& calibration, Target target) {
  const auto measured = target == Target::time ? run.comparable_seconds() : run.comparable_memory();
  if (!run.skipped.empty() || !measured) return std::nullopt;
  try {
    const cost::StepEstimate step = cost::estimate_step(run.shape, calibration);
    if (target == Target::time) return std::log(step.seconds / *measured);
    const cost::Pace pace{step.layer.launch_ratio(), step.stalled};
    return std::log(cost::estimate_memory(run.shape, calibration, pace).reported() / *measured);
  } catch (const UsageError&) {
    return std::nullopt;
  }
}

/// √-shaped soft L1 of Charbonnier: ½r² near zero, |r| far away.
double soft_l1(double r) { return std::sqrt(1 + r * r) - 1; }

class Problem {
 public:
  Problem(cost::Calibration start, std::span<const MeasuredRun> rows, Target target, const FitOptions& options)
      : calibration_(std::move(start)), target_(target), options_(options) {
    for (const MeasuredRun& row : rows)
      if (log_ratio(row, calibration_, target)) rows_.push_back(&row);
    weigh();
    choose_parameters();
  }

  cost::Calibration solve() {
    if (free_.empty()) return calibration_;
    std::vector<double> x;
    for (const Id& id : free_) x.push_back(position(id));
    nlopt::opt optimizer(nlopt::LD_LBFGS, static_cast<unsigned>(free_.size()));
    // Eight spreads from the prior is nowhere; the bounds keep a line search from leaving the numbers.
    optimizer.set_lower_bounds(-8.0);
    optimizer.set_upper_bounds(8.0);
    optimizer.set_min_objective(&Problem::objective, this);
    optimizer.set_ftol_rel(1e-5);
    optimizer.set_maxeval(options_.evaluations);
    double best = 0;
    try {
      optimizer.optimize(x, best);
    } catch (const nlopt::roundoff_limited&) {  // as good as rounding lets it be: x holds the best point
    } catch (const std::runtime_error& error) {
      options_.progress(fmt::format("the fit stopped early: {}", error.what()));
    }
    place(calibration_, x, true);
    return calibration_;
  }
  std::size_t rows() const { return rows_.size(); }
  std::size_t parameters() const { return free_.size(); }

 private:
  double position(const Id& id) const {
    const cost::Parameter& p = calibration_.parameters.at(id);
    return std::log(p.value / p.prior) / p.spread;
  }
  void place(cost::Calibration& calibration, const std::vector<double>& x, bool final = false) const {
    for (std::size_t i = 0; i < free_.size(); ++i) {
      cost::Parameter& p = calibration.parameters.at(free_[i]);
      p.value = p.prior * std::exp(x[i] * p.spread);
      if (final) p.value = cost::four_digits(p.value);
    }
  }

  void weigh() {
    std::map<cost::ParameterKey, std::size_t> sizes;
    for (const MeasuredRun* row : rows_) ++sizes[cost::parameter_key(row->shape)];
    for (const MeasuredRun* row : rows_) {
      const std::size_t size = sizes[cost::parameter_key(row->shape)];
      weights_.push_back(size > options_.most_rows ? static_cast<double>(options_.most_rows) / static_cast<double>(size) : 1.0);
    }
  }

  /// A parameter is fitted where it has a spread and moves some row; which rows it moves is remembered for the gradient.
  void choose_parameters() {
    constexpr double kNudge = 1.05;
    std::vector<double> at_start(rows_.size());
    for (std::size_t r = 0; r < rows_.size(); ++r) at_start[r] = *log_ratio(*rows_[r], calibration_, target_);
    for (const auto& [id, parameter] : calibration_.parameters) {
      if (parameter.spread <= 0 || !of(target_, id)) continue;
      cost::Calibration nudged = calibration_;
      nudged.parameters.at(id).value *= kNudge;
      std::vector<std::size_t> moved;
      for (std::size_t r = 0; r < rows_.size(); ++r)
        if (const auto now = log_ratio(*rows_[r], nudged, target_); !now || *now != at_start[r]) moved.push_back(r);
      if (moved.empty()) continue;
      free_.push_back(id);
      moves_.push_back(std::move(moved));
    }
  }

  double row_loss(std::size_t r, const cost::Calibration& calibration) const {
    const auto ratio = log_ratio(*rows_[r], calibration, target_);
    return weights_[r] * soft_l1(ratio.value_or(1.0) / options_.scale);
  }

  double evaluate(const std::vector<double>& x, std::vector<double>& gradient) {
    cost::Calibration here = calibration_;
    place(here, x);
    std::vector<double> losses(rows_.size());
    double total = 0;
    for (std::size_t r = 0; r < rows_.size(); ++r) total += losses[r] = row_loss(r, here);
    for (const double z : x) total += 0.5 * z * z;
    if (!gradient.empty()) differentiate(x, here, losses, gradient);
    return total;
  }

  /// Forward differences over the rows that each parameter moves, parameters shared out over the processors.
  void differentiate(const std::vector<double>& x, const cost::Calibration& here, const std::vector<double>& losses,
                     std::vector<double>& gradient) const {
    constexpr double kStep = 1e-4;
    const auto work = [&](std::size_t first, std::size_t stride) {
      cost::Calibration nudged = here;
      for (std::size_t i = first; i < x.size(); i += stride) {
        cost::Parameter& p = nudged.parameters.at(free_[i]);
        const double value = p.value;
        p.value = value * std::exp(kStep * p.spread);
        double change = 0;
        for (const std::size_t r : moves_[i]) change += row_loss(r, nudged) - losses[r];
        p.value = value;
        gradient[i] = change / kStep + x[i];
      }
    };
    const std::size_t count = std::max(1u, std::thread::hardware_concurrency());
    std::vector<std::jthread> threads;
    for (std::size_t t = 1; t < count; ++t) threads.emplace_back(work, t, count);
    work(0, count);
  }

  static double objective(const std::vector<double>& x, std::vector<double>& gradient, void* self) {
    return static_cast<Problem*>(self)->evaluate(x, gradient);
  }

  cost::Calibration calibration_;
  const Target target_;
  const FitOptions& options_;
  std::vector<const MeasuredRun*> rows_;
  std::vector<double> weights_;
  std::vector<Id> free_;
  std::vector<std::vector<std::size_t>> moves_;  ///< rows that each free parameter moves
};

/// "megatron-lm" and "megatron-deepspeed" share parameters, "torchtitan+compile" is torchtitan: the name up to its first '-' or '+'.
std::string software_of(const MeasuredRun& run) { return run.shape.framework.substr(0, run.shape.framework.find_first_of("-+")); }

/// Rows that share no parameter are problems of their own, and smaller ones.
std::map<std::string, std::vector<MeasuredRun>> by_software(std::span<const MeasuredRun> rows) {
  std::map<std::string, std::vector<MeasuredRun>> groups;
  for (const MeasuredRun& row : rows)
    if (row.skipped.empty()) groups[software_of(row)].push_back(row);
  return groups;
}

}  // namespace

cost::Calibration fit(const cost::Calibration& start, std::span<const MeasuredRun> rows, const FitOptions& options) {
  cost::Calibration out = start;
  for (const Target target : {Target::time, Target::memory})
    for (const auto& [software, group] : by_software(rows)) {
      Problem problem(out, group, target, options);
      if (problem.rows() == 0) continue;
      options.progress(fmt::format("{}: {} of {} rows, {} parameters", software, target == Target::time ? "time" : "memory", problem.rows(),
                                   problem.parameters()));
      out = problem.solve();
    }
  fit_usable_share(out, rows);
  for (const MeasuredRun& row : rows) out.seen_rows.insert(row.id);
  return out;
}

cost::Calibration at_priors(cost::Calibration calibration) {
  calibration.seen_rows.clear();
  calibration.time.clear(), calibration.memory.clear();
  for (auto& [id, parameter] : calibration.parameters)
    if (parameter.spread > 0) parameter.value = parameter.prior;
  return calibration;
}

int fold_of(const std::string& id, int folds) {
  const std::string digest = files::sha256_hex(id);
  // The digest as one big number, modulo the folds, sixteen bits at a time.
  int rest = 0;
  for (std::size_t i = 0; i < digest.size(); i += 4)
    rest = static_cast<int>((rest * 65536LL + std::stol(digest.substr(i, 4), nullptr, 16)) % folds);
  return rest;
}

std::vector<ScoredRun> leave_out(const cost::Calibration& start, std::span<const MeasuredRun> rows,
                                 const std::function<bool(const MeasuredRun&)>& left_out, const FitOptions& options) {
  std::vector<MeasuredRun> training, tested;
  std::set<std::string> needed;
  for (const MeasuredRun& row : rows)
    if (left_out(row)) tested.push_back(row), needed.insert(software_of(row));
  for (const MeasuredRun& row : rows)
    if (!left_out(row) && needed.contains(software_of(row))) training.push_back(row);
  // What was fitted to all rows is no fair beginning.
  Predictor predict(fit(at_priors(start), training, options));
  std::vector<ScoredRun> scored;
  for (const MeasuredRun& row : tested) scored.push_back(predict(row));
  return scored;
}

namespace {

/// Errors of time or memory of those rows that `chosen` names.
std::vector<cost::Calibration::Residuals> errors_of(std::span<const ScoredRun> rows, Target target,
                                                    const std::function<bool(const ScoredRun&)>& chosen) {
  std::vector<Residual> residuals;
  for (const ScoredRun& row : rows) {
    const bool time = target == Target::time;
    const auto &predicted = time ? row.seconds : row.memory, &measured = time ? row.measured_seconds : row.measured_memory;
    if (predicted && measured && chosen(row))
      residuals.push_back({time ? row.time_kinds : row.memory_kinds, std::log(*measured / *predicted)});
  }
  return summarize(residuals);
}

}  // namespace

std::vector<ScoredRun> cross_validate(const cost::Calibration& start, std::span<const MeasuredRun> rows, int folds,
                                      const FitOptions& options) {
  std::vector<ScoredRun> all;
  for (int fold = 0; fold < folds; ++fold) {
    options.progress(fmt::format("fold {} of {}", fold + 1, folds));
    for (ScoredRun& row : leave_out(
             start, rows, [&](const MeasuredRun& run) { return fold_of(run.id, folds) == fold; }, options))
      all.push_back(std::move(row));
  }
  // A row's interval rests on the errors of the other folds.
  for (int fold = 0; fold < folds; ++fold) {
    const auto elsewhere = [&](const ScoredRun& row) { return fold_of(row.id, folds) != fold; };
    const auto time = errors_of(all, Target::time, elsewhere), memory = errors_of(all, Target::memory, elsewhere);
    for (ScoredRun& row : all) {
      if (elsewhere(row) || !row.seconds) continue;
      row.seconds_interval = interval(*row.seconds, row.time_kinds, time);
      row.memory_interval = interval(*row.memory, row.memory_kinds, memory);
    }
  }
  return all;
}

cost::Calibration with_intervals(cost::Calibration fitted, std::span<const MeasuredRun> rows, std::vector<ScoredRun> unseen) {
  // What is left where no run of the hardware or software was measured: the same runs by the parameters that hold for all.
  cost::Calibration for_all = at_priors(fitted);
  std::erase_if(for_all.parameters,
                [](const auto& entry) { return entry.first.second.accelerator != "*" || entry.first.second.framework != "*"; });
  Predictor predict(for_all);
  for (const MeasuredRun& row : rows) unseen.push_back(predict(row));
  const auto any = [](const ScoredRun&) { return true; };
  fitted.time = errors_of(unseen, Target::time, any), fitted.memory = errors_of(unseen, Target::memory, any);
  return fitted;
}

}  // namespace longhaul::evidence
