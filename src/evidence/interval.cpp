#include "evidence/interval.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "cost/framework.h"
#include "units/statistics.h"

namespace longhaul::evidence {
namespace {

/// Share of the errors inside an interval. The shortest of many windows covers less of the runs to come than of those it was chosen by: two
/// points less in the five folds of tests/golden/runs.csv.
constexpr double kShare = 0.82;
/// Beyond four times either way it is clear who sets the pace.
constexpr int kClearPace = 4;

/// Device ÷ host seconds of a layer in steps of √2.
int pace(const cost::LayerTime& layer) {
  return static_cast<int>(std::clamp<double>(std::round(2 * std::log2(layer.launch_ratio())), -kClearPace, kClearPace));
}

/// Software whose messages may stall has errors of its own wherever there are stages across nodes.
std::string uncalibrated(const cost::RunShape& run) {
  const bool blocking = cost::framework(run.framework).blocking_messages && run.devices > run.devices_per_node;
  return fmt::format("uncalibrated, link {}{}", cost::parameter_key(run).link, blocking ? ", blocking messages" : "");
}

cost::Calibration::Residuals summarize(const std::string& kind, std::vector<double> errors) {
  std::sort(errors.begin(), errors.end());
  const auto share = static_cast<std::size_t>(std::ceil(kShare * static_cast<double>(errors.size() + 1)));
  const std::size_t inside = std::min(share, errors.size());
  std::size_t best = 0;
  for (std::size_t i = 1; i + inside <= errors.size(); ++i)
    if (errors[i + inside - 1] - errors[i] < errors[best + inside - 1] - errors[best]) best = i;
  // An interval holds its own prediction, also where all runs of a kind were off to one side.
  cost::Calibration::Residuals out{kind, 0, std::min(errors[best], 0.0), std::max(errors[best + inside - 1], 0.0), errors.size(), ""};
  for (double& error : errors) error = std::abs(error);
  out.median_abs = quantile(std::move(errors), 0.5);
  return out;
}

}  // namespace

std::string software(const cost::RunShape& run) { return run.framework.substr(0, run.framework.find('+')); }

std::string hardware_kind(const cost::RunShape& run) {
  return fmt::format("{} {} {}", software(run), run.accelerator, cost::parameter_key(run).link);
}

std::vector<std::string> time_kinds(const cost::RunShape& run, const cost::StepEstimate& step) {
  if (!step.calibrated) return {uncalibrated(run), "uncalibrated"};
  const std::string hardware = hardware_kind(run);
  const std::string state =
      fmt::format("{}{}", step.stalled ? ", stalled" : "", run.layout.tp < run.devices_per_node ? ", tp inside a node" : "");
  std::vector<std::string> kinds{
      fmt::format("{}{}, pace {:+d}{}", hardware, state, pace(step.layer), run.layout.pp > 1 ? ", pipeline" : ""), hardware + state};
  if (!state.empty()) kinds.push_back(hardware);
  kinds.insert(kinds.end(), {software(run), "calibrated"});
  return kinds;
}

bool memory_calibrated(const cost::RunShape& run, const cost::StepEstimate& step, const cost::Calibration& calibration) {
  if (run.model.experts.count > 0) return false;
  bool here = false, elsewhere = false;
  for (const auto& [id, parameter] : calibration.parameters) {
    const cost::ParameterKey& key = id.second;
    if (!id.first.starts_with("memory.") || key.framework == "*" || !software(run).starts_with(key.framework)) continue;
    (key.accelerator == run.accelerator ? here : elsewhere) = true;
  }
  return here || (elsewhere && step.calibrated && !calibration.timed_only.contains({run.accelerator, software(run)}));
}

std::vector<std::string> memory_kinds(const cost::RunShape& run, const cost::StepEstimate& step, const cost::Calibration& calibration) {
  if (!memory_calibrated(run, step, calibration)) return {"uncalibrated"};
  return {hardware_kind(run), fmt::format("{} {}", software(run), run.accelerator), "calibrated"};
}

std::vector<cost::Calibration::Residuals> summarize(std::span<const Residual> residuals) {
  std::map<std::string, std::vector<double>> by_kind;
  for (const Residual& residual : residuals)
    for (const std::string& kind : residual.kinds) by_kind[kind].push_back(residual.log_ratio);
  std::vector<cost::Calibration::Residuals> out;
  for (auto& [kind, errors] : by_kind)
    if (errors.size() >= kFewestRows) out.push_back(summarize(kind, std::move(errors)));
  return out;
}

std::string rests_on(const Interval& interval) { return fmt::format("errors of {} runs: {}", interval.rows, interval.kind); }

std::optional<Interval> interval(double predicted, const std::vector<std::string>& kinds,
                                 std::span<const cost::Calibration::Residuals> known) {
  for (const std::string& kind : kinds)
    for (const cost::Calibration::Residuals& r : known)
      if (r.kind == kind)
        return Interval{predicted * std::exp(r.low), predicted * std::exp(r.high), r.rests_on.empty() ? kind : r.rests_on, r.rows};
  return std::nullopt;
}

}  // namespace longhaul::evidence
