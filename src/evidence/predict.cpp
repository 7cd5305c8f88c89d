#include "evidence/predict.h"

#include "cluster/catalogue.h"
#include "cost/step.h"
#include "units/error.h"

namespace longhaul::evidence {

std::optional<double> DeviceMemory::operator()(const std::string& accelerator) {
  const auto [at, is_new] = known_.try_emplace(accelerator);
  if (!is_new) return at->second;
  try {
    if (const auto memory = cluster::find_cluster(accelerator).accelerator.memory) at->second = static_cast<double>(memory->value);
  } catch (const UsageError&) {  // hardware that the catalogue does not know: nothing to judge by
  }
  return at->second;
}

ScoredRun Predictor::operator()(const MeasuredRun& run) {
  ScoredRun out;
  out.family = run.family, out.id = run.id, out.line = run.line;
  out.seen = calibration_.seen_rows.contains(run.id);
  out.measured_seconds = run.comparable_seconds(), out.measured_memory = run.comparable_memory(), out.measured_fits = run.fits;
  out.skipped = run.skipped;
  if (!out.skipped.empty()) return out;
  try {
    const cost::StepEstimate step = cost::estimate_step(run.shape, calibration_);
    out.seconds = step.seconds;
    const cost::Pace pace{step.layer.launch_ratio(), step.stalled};
    out.time_kinds = time_kinds(run.shape, step), out.memory_kinds = memory_kinds(run.shape, step, calibration_);
    out.memory = cost::estimate_memory(run.shape, calibration_, pace).reported();
    out.seconds_interval = interval(*out.seconds, out.time_kinds, calibration_.time);
    out.memory_interval = interval(*out.memory, out.memory_kinds, calibration_.memory);
    if (const auto memory = device_memory_(run.shape.accelerator)) out.fits = cost::judge_fit(run.shape, calibration_, *memory).fits;
  } catch (const UsageError& error) {
    out.skipped = error.what();
  }
  return out;
}

}  // namespace longhaul::evidence
