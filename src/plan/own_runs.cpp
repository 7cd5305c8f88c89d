#include "plan/own_runs.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <string_view>

#include "plan/interval.h"
#include "plan/predict.h"
#include "plan/step.h"
#include "units/error.h"
#include "units/format.h"

namespace longhaul::plan {
namespace {

/// Rates and costs that belong to hardware or to an installation. Efficiency of products: gemm_of_best_matmul where no run of the
/// accelerator was measured.
constexpr std::array<std::string_view, 13> kHardware{"time.gemm_efficiency",       "time.gemm_of_best_matmul",    "time.memory_efficiency",
                                                     "time.flash_efficiency",      "time.launch_forward",         "time.launch_backward",
                                                     "time.tp_link_efficiency",    "time.tp_network_efficiency",  "time.dp_link_efficiency",
                                                     "time.dp_network_efficiency", "time.p2p_network_efficiency", "memory.framework",
                                                     "memory.fragmentation"};
/// Of the logarithm: what efficiencies of one kind differ by among the systems of tests/golden/runs.csv.
constexpr double kSpread = 0.3;
/// Fewer say little of a dozen parameters.
constexpr std::size_t kFewestRuns = 3;

/// Only the hardware parameters of these runs are free.
Calibration free_hardware(Calibration out, std::span<const MeasuredRun> rows) {
  for (auto& [id, parameter] : out.parameters) parameter.spread = 0;
  for (const MeasuredRun& row : rows) {
    const ParameterKey run = parameter_key(row.shape);
    for (const std::string_view name : kHardware) {
      if (name.starts_with("time.") ? !row.step_seconds : !row.memory_bytes) continue;
      const auto* shipped = out.find(name, run);
      if (!shipped || shipped->second.value <= 0) continue;
      if (name == "time.gemm_of_best_matmul" && out.has("time.gemm_efficiency", run)) continue;
      // As closely keyed as the shipped one, so that it neither hides behind that nor speaks for other links.
      const ParameterKey key{run.accelerator, shipped->first.second.link, run.framework, shipped->first.second.dtype};
      Parameter own = shipped->second;
      own.prior = own.value, own.spread = kSpread;
      out.parameters.insert_or_assign({std::string(name), key}, own);
    }
  }
  return out;
}

std::vector<ScoredRun> predict_all(const Calibration& calibration, std::span<const MeasuredRun> rows) {
  Predictor predict(calibration);
  std::vector<ScoredRun> out;
  for (const MeasuredRun& row : rows) out.push_back(predict(row));
  return out;
}

/// Where no interval rests on runs of this software, hardware and link: the range of the errors on runs left out.
void add_own_errors(Calibration& calibration, std::span<const MeasuredRun> rows, std::span<const ScoredRun> left_out) {
  std::map<std::string, Calibration::Residuals> own;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (!left_out[i].seconds || !rows[i].step_seconds) continue;
    Calibration::Residuals& r = own[hardware_kind(rows[i].shape)];
    const double error = std::log(*rows[i].step_seconds / *left_out[i].seconds);
    r.low = std::min(r.low, error), r.high = std::max(r.high, error), ++r.rows;
  }
  for (auto& [kind, residuals] : own) {
    residuals.kind = kind;
    const auto same = [&of = residuals](const Calibration::Residuals& r) { return r.kind == of.kind; };
    if (residuals.rows < kFewestRuns || std::any_of(calibration.time.begin(), calibration.time.end(), same)) continue;
    calibration.time.push_back(residuals);
  }
}

std::string percent(const std::optional<double>& predicted, const std::optional<double>& measured) {
  return predicted && measured ? fmt::format("{:+.1f} %", 100 * (*predicted / *measured - 1)) : "–";
}

}  // namespace

OwnRuns fit_own_runs(const Calibration& start, std::span<const MeasuredRun> rows, const FitOptions& options) {
  OwnRuns out;
  std::vector<MeasuredRun> usable;
  Predictor try_out(start);
  for (const MeasuredRun& row : rows) {
    std::string wrong = try_out(row).skipped;
    if (wrong.empty() && !row.comparable_seconds() && !row.comparable_memory())
      wrong = "no step time and no memory of a run that ended well";
    if (wrong.empty())
      usable.push_back(row);
    else
      out.skipped += fmt::format("skipped {}: {}\n", row.id, wrong);
  }
  if (usable.size() < kFewestRuns)
    throw UsageError(
        fmt::format("{} runs of the table can be fitted to, at least {} are needed\n{}", usable.size(), kFewestRuns, out.skipped));
  const Calibration freed = free_hardware(start, usable);
  out.calibration = fit(freed, usable, options);
  out.before = predict_all(start, usable), out.after = predict_all(out.calibration, usable);
  for (std::size_t i = 0; i < usable.size(); ++i) {
    std::vector<MeasuredRun> others = usable;
    others.erase(others.begin() + static_cast<std::ptrdiff_t>(i));
    out.left_out.push_back(predict_all(fit(freed, others, options), std::span(usable).subspan(i, 1)).front());
  }
  add_own_errors(out.calibration, usable, out.left_out);
  return out;
}

std::string to_text(const OwnRuns& runs) {
  std::string out = runs.skipped + fmt::format("{:<28}{:>11}{:>10}{:>10}{:>10}{:>13}{:>10}{:>10}\n", "run", "step", "before", "after",
                                               "left out", "memory", "before", "after");
  for (std::size_t i = 0; i < runs.before.size(); ++i) {
    const ScoredRun &before = runs.before[i], &after = runs.after[i];
    out += fmt::format("{:<28}{:>11}{:>10}{:>10}{:>10}{:>13}{:>10}{:>10}\n", before.id,
                       before.measured_seconds ? format(Seconds(*before.measured_seconds)) : "–",
                       percent(before.seconds, before.measured_seconds), percent(after.seconds, after.measured_seconds),
                       runs.left_out.empty() ? "–" : percent(runs.left_out[i].seconds, before.measured_seconds),
                       before.measured_memory ? format(Bytes(static_cast<std::int64_t>(*before.measured_memory)), ByteUnits::binary) : "–",
                       percent(before.memory, before.measured_memory), percent(after.memory, after.measured_memory));
  }
  const auto median = [](const std::vector<ScoredRun>& of, bool memory) {
    // A fit has seen some of them: all count here.
    std::vector<ScoredRun> all = of;
    for (ScoredRun& row : all) row.seen = false;
    const ErrorSummary errors = summarize_errors(all, false, memory);
    return errors.rows > 0 ? fmt::format("{:.1f} %", errors.median_abs) : std::string("–");
  };
  return out + fmt::format("median absolute error: step time {} before, {} after, {} left out; memory {} before, {} after\n",
                           median(runs.before, false), median(runs.after, false), median(runs.left_out, false), median(runs.before, true),
                           median(runs.after, true));
}

}  // namespace longhaul::plan
