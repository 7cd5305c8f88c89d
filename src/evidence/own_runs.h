// evidence/own_runs.h — a calibration for one's own hardware from a few runs on it.
//
// Three to ten measured runs cannot fit a model anew; they can move the dozen rates that differ from machine to machine and from one
// installation of a framework to another. Each of those begins at the shipped value with a spread of its own, as a parameter of the runs'
// (accelerator, framework) alone; everything else stays as it is.
#pragma once

#include <span>
#include <vector>

#include "cost/calibration.h"
#include "evidence/fit.h"
#include "evidence/runs.h"
#include "evidence/score.h"

namespace longhaul::evidence {

struct OwnRuns {
  cost::Calibration calibration;
  std::vector<ScoredRun> before, after;
  std::string skipped;              ///< rows that could not be used and why, a line each
  std::vector<ScoredRun> left_out;  ///< each run predicted by a fit to the others: what a new run may expect
};

/// Throws UsageError when fewer than three rows can be fitted to; names each and why.
OwnRuns fit_own_runs(const cost::Calibration& start, std::span<const MeasuredRun> rows, const FitOptions& options = {});

/// One line a run and the medians: errors of step time and memory before, after, and left out.
std::string to_text(const OwnRuns& runs);

}  // namespace longhaul::evidence
