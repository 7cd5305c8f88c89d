#include "evidence/own_runs.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <string_view>

#include "cost/prices.h"
#include "cost/step.h"
#include "evidence/interval.h"
#include "evidence/predict.h"
#include "units/error.h"
#include "units/format.h"

namespace longhaul::evidence {
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
cost::Calibration free_hardware(cost::Calibration out, std::span<const MeasuredRun> rows) {
  for (auto& [id, parameter] : out.parameters) parameter.spread = 0;
  for (const MeasuredRun& row : rows) {
    const cost::ParameterKey run = cost::parameter_key(row.shape);
    for (const std::string_view name : kHardware) {
      if (name.starts_with("time.") ? !row.comparable_seconds() : !row.comparable_memory()) continue;
      const auto* shipped = out.find(name, run);
      if (!shipped || shipped->second.value <= 0) continue;
      if (name == "time.gemm_of_best_matmul" && out.has("time.gemm_efficiency", run)) continue;
      // As closely keyed as the shipped one, so that it neither hides behind that nor speaks for other links.
      const cost::ParameterKey key{run.accelerator, shipped->first.second.link, run.framework, shipped->first.second.dtype};
      cost::Parameter own = shipped->second;
      own.prior = own.value, own.spread = kSpread;
      out.parameters.insert_or_assign({std::string(name), key}, own);
    }
  }
  return out;
}

std::vector<ScoredRun> predict_all(const cost::Calibration& calibration, std::span<const MeasuredRun> rows) {
  Predictor predict(calibration);
  std::vector<ScoredRun> out;
  for (const MeasuredRun& row : rows) out.push_back(predict(row));
  return out;
}

/// Hardware whose runs say nothing of memory that was not known before.
void note_timed_only(cost::Calibration& calibration, const cost::Calibration& start, std::span<const MeasuredRun> rows) {
  for (const MeasuredRun& row : rows)
    if (!cost::TimeParameters(row.shape, start).calibrated()) calibration.timed_only.emplace(row.shape.accelerator, software(row.shape));
  for (const MeasuredRun& row : rows)
    if (row.comparable_memory()) calibration.timed_only.erase({row.shape.accelerator, software(row.shape)});
}

/// Own errors, log(measured ÷ predicted when left out), beside those known. As many as a kind needs make one; fewer only widen the errors
/// that the run's interval would rest on without them, those of its software or of all calibrated runs.
void add_own_errors(std::vector<cost::Calibration::Residuals>& known, const std::map<std::string, std::vector<Residual>>& own) {
  for (const auto& [hardware, errors] : own) {
    const auto same = [&of = hardware](const cost::Calibration::Residuals& r) { return r.kind == of; };
    if (std::any_of(known.begin(), known.end(), same)) continue;
    const std::vector<cost::Calibration::Residuals> enough = summarize(errors);
    if (const auto at = std::find_if(enough.begin(), enough.end(), same); at != enough.end()) {
      known.push_back(*at);
      continue;
    }
    const std::vector<std::string> wider(errors.front().kinds.begin() + 1, errors.front().kinds.end());
    const std::optional<Interval> base = interval(1, wider, known);
    if (!base) continue;
    cost::Calibration::Residuals widened{hardware, 0, std::log(base->low), std::log(base->high), base->rows, ""};
    for (const Residual& error : errors)
      widened.low = std::min(widened.low, error.log_ratio), widened.high = std::max(widened.high, error.log_ratio);
    widened.rests_on = fmt::format("{}, widened to the errors of {} own", base->kind, errors.size());
    known.push_back(widened);
  }
}

void add_own_errors(cost::Calibration& calibration, std::span<const MeasuredRun> rows, std::span<const ScoredRun> left_out) {
  std::map<std::string, std::vector<Residual>> time, memory;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::string hardware = hardware_kind(rows[i].shape), name = software(rows[i].shape);
    if (const auto measured = rows[i].comparable_seconds(); measured && left_out[i].seconds)
      time[hardware].push_back({{hardware, name, "calibrated"}, std::log(*measured / *left_out[i].seconds)});
    if (const auto measured = rows[i].comparable_memory(); measured && left_out[i].memory)
      memory[hardware].push_back(
          {{hardware, fmt::format("{} {}", name, rows[i].shape.accelerator), "calibrated"}, std::log(*measured / *left_out[i].memory)});
  }
  add_own_errors(calibration.time, time), add_own_errors(calibration.memory, memory);
}

std::string percent(const std::optional<double>& predicted, const std::optional<double>& measured) {
  return predicted && measured ? fmt::format("{:+.1f} %", 100 * (*predicted / *measured - 1)) : "–";
}

}  // namespace

OwnRuns fit_own_runs(const cost::Calibration& start, std::span<const MeasuredRun> rows, const FitOptions& options) {
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
  const cost::Calibration freed = free_hardware(start, usable);
  out.calibration = fit(freed, usable, options);
  out.before = predict_all(start, usable), out.after = predict_all(out.calibration, usable);
  for (std::size_t i = 0; i < usable.size(); ++i) {
    std::vector<MeasuredRun> others = usable;
    others.erase(others.begin() + static_cast<std::ptrdiff_t>(i));
    out.left_out.push_back(predict_all(fit(freed, others, options), std::span(usable).subspan(i, 1)).front());
  }
  note_timed_only(out.calibration, start, usable);
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

}  // namespace longhaul::evidence
