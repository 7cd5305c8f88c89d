// plan/forecast.h — the whole account of a job on a cluster before it starts: fit, time, utilisation, checkpoints, failures, money.
//
// Time comes from cost/step.h, memory from cost/memory.h, the rest from cost/formulas.h. What depends on figures that only the user has
// (failure rate, price, power) is left open where they are not given.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cluster/catalogue.h"
#include "cost/calibration.h"
#include "cost/formulas.h"
#include "cost/memory.h"
#include "cost/run_shape.h"
#include "cost/step.h"
#include "evidence/interval.h"
#include "model/flops.h"

namespace longhaul::plan {

/// What the planner cannot know.
struct JobFacts {
  Tokens tokens;                             ///< of the whole run
  std::optional<Tokens> unique_tokens;       ///< of the data
  std::optional<double> device_hours_price;  ///< dollars
  std::optional<Seconds> mtbf;               ///< mean time between failures of the whole job
  std::optional<Seconds> save;               ///< one checkpoint's stop
  Seconds restart{600};                      ///< from a failure to the next step; given or 10 minutes
};

struct Forecast {
  cluster::Cluster cluster;
  cost::RunShape shape;
  JobFacts facts;
  model::ParamCounts parameters;
  Flops flops_per_token;
  std::vector<std::pair<std::string, Flops>> conventions;
  cost::StepEstimate step;
  cost::MemoryEstimate memory;
  /// 80 %, from runs of the kind that no fit had seen: of step.seconds, and of memory.reported(), since that was measured.
  std::optional<evidence::Interval> seconds_interval, memory_interval;
  bool memory_calibrated = true;        ///< as step.calibrated of the time
  std::optional<cost::FitVerdict> fit;  ///< absent where the catalogue has no memory of the device
  Bytes checkpoint;                     ///< fp32 master weights and moments, 16-bit weights: 14 bytes a parameter (BLOOM's format)
  double peak_flops = 0;                ///< of all devices, in the run's precision
  std::optional<Seconds> save_every;
  std::optional<cost::Goodput> goodput;
  std::vector<std::string> warnings;

  double tokens_per_second() const { return static_cast<double>(shape.tokens_per_step()) / step.seconds; }
  double mfu() const { return flops_per_token.value * tokens_per_second() / peak_flops; }
  /// Bytes by the upper end of memory's interval: it is of the figure that frameworks report, and what must be there at once may be as
  /// much above its estimate. Nothing without an interval.
  std::optional<double> most_needed() const;
  /// What fits, fits by the upper end too.
  bool fit_is_certain() const;
  double hfu() const;  ///< with the work of recomputation
  Flops recomputed_flops_per_token() const;
  Seconds run() const { return Seconds(static_cast<double>(facts.tokens.value) / tokens_per_second()); }
  /// Dollars without saves and failures; nothing without a price.
  std::optional<double> money() const {
    return facts.device_hours_price ? std::optional(cost::dollars(Seconds(device_hours() * 3600), *facts.device_hours_price))
                                    : std::nullopt;
  }
  double device_hours() const { return run().value / 3600 * shape.devices; }
};

/// The sentence that warns of a run which reads its data too often; nothing where it does not.
std::optional<std::string> warn_of_epochs(Tokens tokens, Tokens unique);

/// Sets everything of a run that its cluster decides: accelerator, its rates, devices, node.
void place(cost::RunShape& run, const cluster::Cluster& cluster);
/// Throws UsageError with the nearest name unless the software is in the table of frameworks or a calibration has parameters of it.
void check_framework(const std::string& name, const cost::Calibration& calibration);

/// @throws UsageError that names the contradiction in the layout, batch or hardware and a fix
Forecast forecast(const cluster::Cluster& cluster, cost::RunShape shape, const JobFacts& facts, const cost::Calibration& calibration);

nlohmann::json to_json(const Forecast& forecast);
std::string to_text(const Forecast& forecast);

}  // namespace longhaul::plan
