#include "train/guards.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "files/read.h"
#include "units/statistics.h"

namespace longhaul::train {
namespace {

std::vector<double> last(const std::deque<double>& values, std::int64_t count) {
  const auto take = std::min<std::ptrdiff_t>(static_cast<std::ptrdiff_t>(count), std::ssize(values));
  return {values.end() - take, values.end()};
}

double mean(const std::vector<double>& values) {
  return values.empty() ? 0 : std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

/// Robust z: distance from the median in units of 1.4826·MAD, which is σ for normal noise (Rousseeuw and Croux 1993).
double robust_z(const std::vector<double>& window, double value) {
  const double centre = median(window);
  std::vector<double> deviations;
  for (double x : window) deviations.push_back(std::abs(x - centre));
  const double spread = 1.4826 * median(deviations);
  return spread > 0 ? (value - centre) / spread : 0;
}

/// A limit of 0 is off.
bool above(double value, double limit) { return limit > 0 && value > limit; }

void alarms_of_loss(const config::GuardsTable& limits, const GuardState& state, const Observation& seen, Verdict& verdict) {
  const double recent = mean(last(state.losses, limits.window));
  if (limits.loss_alarm_ratio > 0 && seen.loss > limits.loss_alarm_ratio * recent) verdict.alarms.emplace_back("loss_ratio");
  const std::vector<double> window = last(state.losses, limits.spike_window);
  if (limits.spike_threshold > 0 && seen.loss > median(window) + limits.spike_threshold) verdict.alarms.emplace_back("loss_spike");
  if (above(robust_z(window, seen.loss), limits.spike_z)) verdict.alarms.emplace_back("loss_z");
  if (above(robust_z(last(state.grad_norms, limits.spike_window), seen.grad_norm), limits.spike_z))
    verdict.alarms.emplace_back("grad_norm_z");
  if (limits.loss_skip_ratio > 0 && seen.loss > limits.loss_skip_ratio * recent) {
    verdict.apply = false;
    verdict.reason = fmt::format("skipped: loss above {} times the recent mean", limits.loss_skip_ratio);
  }
}

}  // namespace

Verdict judge(const config::GuardsTable& limits, const GuardState& state, const Observation& seen) {
  Verdict verdict;
  if (!std::isfinite(seen.loss) || !std::isfinite(seen.grad_norm)) {
    verdict.apply = false;
    verdict.reason = std::isfinite(seen.loss) ? "skipped: gradient norm is not finite" : "skipped: loss is not finite";
    verdict.alarms.emplace_back("not_finite");
    verdict.about_gradient = !std::isfinite(seen.grad_norm);
    return verdict;
  }
  if (above(seen.grad_norm, limits.grad_norm_alarm))
    verdict.alarms.emplace_back("grad_norm_alarm");
  else if (above(seen.grad_norm, limits.grad_norm_warn))
    verdict.alarms.emplace_back("grad_norm_warn");
  if (seen.learning_rate != seen.scheduled_learning_rate) verdict.alarms.emplace_back("learning_rate");
  if (state.applied >= limits.silent_steps && !state.losses.empty()) alarms_of_loss(limits, state, seen, verdict);
  verdict.about_gradient =
      std::any_of(verdict.alarms.begin(), verdict.alarms.end(), [](const std::string& alarm) { return alarm.starts_with("grad_norm"); });
  return verdict;
}

void remember(const config::GuardsTable& limits, GuardState& state, const Observation& seen, const Verdict& verdict) {
  if (!verdict.apply) {
    ++state.skipped_in_a_row;
    return;
  }
  state.skipped_in_a_row = 0;
  ++state.applied;
  const auto push = [&](std::deque<double>& window, double value) {
    window.push_back(value);
    while (std::ssize(window) > std::max(limits.window, limits.spike_window)) window.pop_front();
  };
  push(state.losses, seen.loss);
  push(state.grad_norms, seen.grad_norm);
}

nlohmann::json to_json(const GuardState& state) {
  const auto bits = [](const std::deque<double>& values) {
    nlohmann::json out = nlohmann::json::array();
    for (double value : values) out.push_back(files::double_bits(value));
    return out;
  };
  return {{"losses", bits(state.losses)},
          {"grad_norms", bits(state.grad_norms)},
          {"applied", state.applied},
          {"skipped_in_a_row", state.skipped_in_a_row}};
}

GuardState guards_from_json(const nlohmann::json& document) {
  GuardState state;
  const auto read = [&](const char* key, std::deque<double>& out) {
    for (const nlohmann::json& value : document.at(key)) out.push_back(files::double_from_bits(value.get<std::string>()));
  };
  read("losses", state.losses);
  read("grad_norms", state.grad_norms);
  state.applied = document.at("applied").get<std::int64_t>();
  state.skipped_in_a_row = document.at("skipped_in_a_row").get<std::int64_t>();
  return state;
}

}  // namespace longhaul::train
