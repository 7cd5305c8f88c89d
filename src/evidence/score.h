// evidence/score.h — predictions set beside measurements: errors by family, and how well "fits" is told from "does not fit".
//
// Rows that a fit has seen are scored apart from those it has not: only the latter say how far a prediction can be trusted. Errors are
// predicted ÷ measured − 1 in percent. Time and memory are scored on runs that did not fail; in "fits" every row with a status counts: none
// is left out for being predicted to fit.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cost/memory.h"
#include "evidence/interval.h"
#include "evidence/runs.h"

namespace longhaul::evidence {

/// One row and what was predicted of it; absent where there is nothing to compare (MeasuredRun::comparable_seconds) or no way to predict.
struct ScoredRun {
  std::string family, id;
  std::size_t line = 0;  ///< of the table's file
  bool seen = false;     ///< by a fit
  std::optional<double> seconds, measured_seconds;
  std::optional<double> memory, measured_memory;
  std::optional<bool> fits, measured_fits;
  std::string skipped;  ///< why nothing of it could be predicted
  std::optional<Interval> seconds_interval, memory_interval;
  std::vector<std::string> time_kinds, memory_kinds;  ///< evidence/interval.h
};

/// Signed and absolute percentage errors; all 0 without rows.
struct ErrorSummary {
  std::size_t rows = 0;
  double bias = 0;  ///< median of the signed errors
  double median_abs = 0, mean_abs = 0, p90_abs = 0, worst_abs = 0;
  std::string worst_id;
  /// Of the rows that have an 80 % interval: how many, the share of them inside, the median half-width in percent of the prediction.
  std::size_t intervals = 0;
  double covered = 0, half_width = 0;
};

/// "Fits" is the positive class of the first three, "does not fit" of `f1_not`. Absent where a ratio has no denominator.
struct FitSummary {
  std::size_t rows = 0;
  std::optional<double> precision, recall, f1, f1_not;
};

struct Score {
  ErrorSummary time, memory;
  FitSummary fit;
};

struct FamilyScore {
  std::string family;
  std::size_t rows = 0;
  Score unseen, seen;
  std::map<std::string, std::size_t> skipped;  ///< rows by reason
};

/// Percentage errors of pairs (predicted, measured).
ErrorSummary summarize_errors(const std::vector<ScoredRun>& runs, bool seen, bool memory);
FitSummary summarize_fits(const std::vector<ScoredRun>& runs, bool seen);
Score score_rows(const std::vector<ScoredRun>& runs, bool seen);
/// Families in the order of their first row.
std::vector<FamilyScore> score(const std::vector<ScoredRun>& runs);

/// {"rows", "reasons": {reason: rows}, "first": [{"line", "id", "reason"}]} of the rows of which nothing is predicted, the first ten named.
nlohmann::json skipped_json(const std::vector<ScoredRun>& runs);
/// The same as lines of text; empty where nothing is skipped.
std::string skipped_text(const std::vector<ScoredRun>& runs);

/// {"families": [{"family", "rows", "skipped": {reason: rows}, "time": {"rows", "median_abs_pct", …}, "memory": {…}, "fit": {…},
/// "seen": {"time", "memory", "fit"}}]}: the outer figures are of rows that no fit has seen. A figure without rows is null.
/// "all" is of all families together.
nlohmann::json to_json(const std::vector<FamilyScore>& families, const Score& all);
std::string to_text(const std::vector<FamilyScore>& families, const Score& all);

}  // namespace longhaul::evidence
