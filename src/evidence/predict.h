// evidence/predict.h — everything the model says of a run that was measured, beside what was measured: one row of a score
// (evidence/score.h).
#pragma once

#include <map>
#include <optional>
#include <string>

#include "cost/calibration.h"
#include "cost/memory.h"
#include "evidence/runs.h"
#include "evidence/score.h"

namespace longhaul::evidence {

/// Memory of a device, looked up once each; nothing where the catalogue does not say.
class DeviceMemory {
 public:
  std::optional<double> operator()(const std::string& accelerator);

 private:
  std::map<std::string, std::optional<double>> known_;
};

/// Predicts rows one by one; looks each accelerator up once. Uses only what is known before a run: its row's shape, never its measurements.
class Predictor {
 public:
  explicit Predictor(cost::Calibration calibration) : calibration_(std::move(calibration)) {}

  /// A row that cannot be predicted says why in `skipped`; whether it fits stays open where the catalogue has no memory of its hardware.
  ScoredRun operator()(const MeasuredRun& run);
  const cost::Calibration& calibration() const { return calibration_; }

 private:
  cost::Calibration calibration_;
  DeviceMemory device_memory_;
};

}  // namespace longhaul::evidence
