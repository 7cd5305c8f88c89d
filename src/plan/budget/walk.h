// plan/budget/walk.h — the shape that a cluster's time makes best: not 6·N·D at an assumed utilisation, but the modelled step of each
// shape.
//
// Every shape of a family is laid out on the cluster as well as a bounded search finds (plan/search.h); its tokens per second and the
// budget give D, D and N give the loss by a law, and the least loss wins. A shape that no layout fits, or that its framework runs slowly,
// loses what an ideal machine would hide.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cost/calibration.h"
#include "cost/run_shape.h"
#include "scaling/law.h"

namespace longhaul::plan {

struct Walked {
  model::ModelSpec model;
  double parameters = 0;                ///< as the law counts them
  std::optional<cost::RunShape> run;    ///< the best layout; absent where none fits
  std::string reason;                   ///< why none does
  double step_seconds = 0, memory = 0;  ///< of the best layout; bytes of the fullest rank
  double tokens_per_s = 0, mfu = 0;     ///< of all devices
  scaling::Allocation at;               ///< N, and the D of the budget
  double loss = 0;
  double device_hours = 0;  ///< of the whole run
};

struct WalkOptions {
  /// The budget: device-hours, or FLOPs of 6·N·D.
  std::optional<double> device_hours, flops;
  double device_memory = 0;  ///< bytes
  std::function<void(std::size_t done, std::size_t all)> progress = [](std::size_t, std::size_t) {};
};

/// @param base everything of a run but its model and layout: cluster, batch, sequence, precision, framework
/// @param law with a surface
std::vector<Walked> walk(const std::vector<model::ModelSpec>& shapes, const cost::RunShape& base, const scaling::Law& law,
                         const cost::Calibration& calibration, const WalkOptions& options);
/// The place of the least loss; nothing where no shape fits.
std::optional<std::size_t> best_of(const std::vector<Walked>& walked);

}  // namespace longhaul::plan
