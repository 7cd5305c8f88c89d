// evidence/interval.h — how far a prediction may be off: 80 % intervals from the errors on runs that the fit had not seen.
//
// Errors differ by what a run is made of: where host and device are about as fast, either may set the pace; where messages may stall, some
// do. So each prediction is compared with the errors of its own kind, the narrowest that enough measured runs belong to. The interval is
// the shortest that holds four fifths of them. Nothing but the run's description chooses the kind.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cost/calibration.h"
#include "cost/step.h"
#include "evidence/runs.h"

namespace longhaul::evidence {

/// Kinds that a run belongs to, the narrowest first; a run of hardware or software without measured rows is of the kind "uncalibrated"
/// alone.
std::vector<std::string> time_kinds(const cost::RunShape& run, const cost::StepEstimate& step);
std::vector<std::string> memory_kinds(const cost::RunShape& run, const cost::StepEstimate& step, const cost::Calibration& calibration);
/// Whether runs of this software on this accelerator measured memory: its own parameters say so, or those of the software where its time is
/// calibrated by more than runs that measured times alone. No mixture was measured.
bool memory_calibrated(const cost::RunShape& run, const cost::StepEstimate& step, const cost::Calibration& calibration);

/// The framework without its variant: "megatron-lm" of "megatron-lm", "torchtitan" of "torchtitan+compile".
std::string software(const cost::RunShape& run);

/// "megatron-lm h100 network": software, hardware and link of a run, one of its kinds where runs of it were measured.
std::string hardware_kind(const cost::RunShape& run);

/// A measured run beside its prediction.
struct Residual {
  std::vector<std::string> kinds;
  double log_ratio = 0;  ///< log(measured ÷ predicted)
};
/// One summary for each kind of at least kFewestRows runs.
inline constexpr std::size_t kFewestRows = 15;
std::vector<cost::Calibration::Residuals> summarize(std::span<const Residual> residuals);

struct Interval {
  double low = 0, high = 0;  ///< in the prediction's unit
  std::string kind;          ///< whose errors it rests on
  std::size_t rows = 0;
  bool contains(double value) const { return low <= value && value <= high; }
};
/// "errors of 109 runs: megatron-lm h100 network".
std::string rests_on(const Interval& interval);
/// Nothing where no kind has a summary.
std::optional<Interval> interval(double predicted, const std::vector<std::string>& kinds,
                                 std::span<const cost::Calibration::Residuals> known);

}  // namespace longhaul::evidence
