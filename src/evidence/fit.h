// evidence/fit.h — fits the cost model's parameters to measured runs, and says how well it does on runs it has not seen.
//
// Each parameter with a spread is a positive number whose logarithm is normal around its prior; each row adds the logarithm of predicted ÷
// measured under a soft L1 loss, so that a few rows of another cause do not decide (maximum a posteriori). Families of many rows count as
// if they had fewer, and rows that no parameter of theirs can move are left out. The optimiser is NLopt's L-BFGS.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "cost/calibration.h"
#include "evidence/runs.h"
#include "evidence/score.h"

namespace longhaul::evidence {

struct FitOptions {
  double scale = 0.03;          ///< of log(predicted ÷ measured) where the loss turns from squares to absolute values
  std::size_t most_rows = 150;  ///< a group (accelerator, link, framework, dtype) of more rows weighs like this many
  int evaluations = 60;         ///< of the gradient, at most
  std::function<void(const std::string&)> progress = [](const std::string&) {};
};

/// The calibration with its parameters refitted to the step times and peak memories of these rows; `seen_rows` names them.
cost::Calibration fit(const cost::Calibration& start, std::span<const MeasuredRun> rows, const FitOptions& options = {});

/// Nothing fitted: every parameter with a spread at its prior, no rows seen, no errors known.
cost::Calibration at_priors(cost::Calibration calibration);

/// How rows are told apart for honest scores: SHA-256 of the row's id, modulo the folds. A pure function of the id, so that anyone's split
/// is the same.
int fold_of(const std::string& id, int folds);

/// Predictions of every row by a calibration fitted without the row's fold, with intervals from the other folds' errors. `seen` is false
/// for all of them.
std::vector<ScoredRun> cross_validate(const cost::Calibration& start, std::span<const MeasuredRun> rows, int folds,
                                      const FitOptions& options = {});

/// A calibration with the errors (evidence/interval.h) that its intervals rest on: those of `unseen` (cross_validate()), and those of the
/// rows predicted as if nothing of their hardware and software had been measured.
cost::Calibration with_intervals(cost::Calibration fitted, std::span<const MeasuredRun> rows, std::vector<ScoredRun> unseen);

/// Predictions of the rows that `left_out` names by a calibration fitted to all others: unseen groups.
std::vector<ScoredRun> leave_out(const cost::Calibration& start, std::span<const MeasuredRun> rows,
                                 const std::function<bool(const MeasuredRun&)>& left_out, const FitOptions& options = {});

}  // namespace longhaul::evidence
