// train/schedule.h — the learning rate of every step, as a pure function of the run file and the step (accounting A3, A4).
//
// Steps count from 0. Every kind begins with a linear warm-up, η_max·(s+1)/W for s < W; then:
//   constant      η_max
//   linear        from η_max to η_min over the rest
//   cosine        η_min + ½(η_max − η_min)(1 + cos πp), p = (s − W)/max(1, S − W − 1)
//   inverse_sqrt  η_max·√(W/(s+1)), at least η_min (Vaswani et al. 2017 §5.3, rescaled so that the warm-up ends at η_max; W ≥ 1)
//   wsd           η_max, then over the last `decay_fraction` of all steps a tail to η_min: linear, cosine or 1−√ (Hägele et al. 2024)
// In double with the project's own cosine, so that every machine has the same rate to the last bit.
#pragma once

#include <cstdint>

#include "config/run_config.h"

namespace longhaul::train {

struct Schedule {
  config::LearningRateSchedule kind = config::LearningRateSchedule::cosine;
  double peak = 0;   ///< η_max
  double floor = 0;  ///< η_min
  std::int64_t warmup_steps = 0;
  std::int64_t total_steps = 0;
  double decay_fraction = 0;  ///< wsd: share of all steps in the tail
  config::DecayShape decay_shape = config::DecayShape::linear;
};

Schedule schedule_of(const config::RunConfig& config);
double learning_rate(const Schedule& schedule, std::int64_t step);

}  // namespace longhaul::train
