// scaling/fit_report.h — what `longhaul fit POINTS.csv` answers: the coefficients with and without the points of few tokens per
// parameter, residuals, and the optima that follow, each marked where it lies beyond the points.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "scaling/fit_law.h"

namespace longhaul::scaling {

struct PointsFit {
  std::string label;  ///< the file
  std::vector<Point> all, kept;
  OutlierRule rule;
  bool default_rule = true;
  bool embeddings = true;
  FitLawOptions options;
  FittedLaw fitted;                 ///< to `kept`: the one that is written and that predicts
  std::optional<FittedLaw> of_all;  ///< to all points, where the rule leaves some out
};

/// Fits both. @throws UsageError as fit_law() does
PointsFit fit_points(std::vector<Point> points, std::string label, const OutlierRule& rule, bool default_rule,
                     const FitLawOptions& options);

/// The law of `fitted`; source names the file, its SHA-256 and the rule.
Law to_law(const PointsFit& fit, const std::string& sha256);

/// Budgets at whose optima a fit is looked at: the decade below the largest of the points, and three more.
std::vector<double> budgets_of(const PointsFit& fit);

nlohmann::json to_json(const PointsFit& fit);
std::string to_text(const PointsFit& fit);

}  // namespace longhaul::scaling
