#include "train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "kernels/elementary/elementary64.h"

namespace longhaul::train {
namespace {

/// From `peak` at p = 0 to `floor` at p = 1.
double cosine(double peak, double floor, double p) { return floor + 0.5 * (peak - floor) * (1 + kernels::cos64(std::numbers::pi * p)); }
double linear(double peak, double floor, double p) { return peak + (floor - peak) * p; }

double tail(const Schedule& s, double p) {
  switch (s.decay_shape) {
    case config::DecayShape::linear:
      return linear(s.peak, s.floor, p);
    case config::DecayShape::cosine:
      return cosine(s.peak, s.floor, p);
    case config::DecayShape::one_minus_sqrt:
      return linear(s.peak, s.floor, std::sqrt(p));
  }
  return s.peak;
}

/// 0 at the first step of a stretch, 1 at the last step of the run.
double progress(const Schedule& s, std::int64_t first, std::int64_t step) {
  const double p = static_cast<double>(step - first) / static_cast<double>(std::max<std::int64_t>(1, s.total_steps - first - 1));
  return std::clamp(p, 0.0, 1.0);
}

}  // namespace

Schedule schedule_of(const config::RunConfig& config) {
  const config::ScheduleTable& table = config.schedule;
  return {table.kind,       config.optimizer.learning_rate, table.min_learning_rate, table.warmup_steps,
          config.run.steps, table.decay_fraction,           table.decay_shape};
}

double learning_rate(const Schedule& s, std::int64_t step) {
  if (step < s.warmup_steps) return s.peak * static_cast<double>(step + 1) / static_cast<double>(s.warmup_steps);
  switch (s.kind) {
    case config::LearningRateSchedule::constant:
      return s.peak;
    case config::LearningRateSchedule::linear:
      return linear(s.peak, s.floor, progress(s, s.warmup_steps, step));
    case config::LearningRateSchedule::cosine:
      return cosine(s.peak, s.floor, progress(s, s.warmup_steps, step));
    case config::LearningRateSchedule::inverse_sqrt: {
      const double base = static_cast<double>(std::max<std::int64_t>(1, s.warmup_steps));
      return std::max(s.floor, s.peak * std::sqrt(base / static_cast<double>(std::max<std::int64_t>(step + 1, 1))));
    }
    case config::LearningRateSchedule::wsd: {
      const auto length = static_cast<std::int64_t>(std::llround(s.decay_fraction * static_cast<double>(s.total_steps)));
      const std::int64_t first = std::max(s.warmup_steps, s.total_steps - length);
      return step < first ? s.peak : tail(s, progress(s, first, step));
    }
  }
  return s.peak;
}

}  // namespace longhaul::train
