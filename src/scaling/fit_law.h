// scaling/fit_law.h — fits a scaling law to points, with the method of Hoffmann et al. 2022 (section 3.3, appendix D.3).
//
// Residuals are log predicted − log measured, their Huber loss with δ = 1e-3 is summed (a mean stops optimisers early: Besiroglu et al.
// 2024), predictions are the log-sum-exp of the terms' logarithms, and L-BFGS with analytic gradients (NLopt) starts from Hoffmann's grid:
// α, β ∈ {0, 0.5 … 2}, log E ∈ {−1, −0.5 … 1}, log A, log B ∈ {0, 5 … 25}, 4,500 starts for Chinchilla's form. The grid is evaluated whole
// and the best of it are descended from. Intervals are the 10th to 90th percentiles of refits to resampled points (a bootstrap of pairs),
// seeded: equal input, equal bits, whatever the number of processors.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "scaling/law.h"
#include "scaling/points.h"

namespace longhaul::scaling {

struct FitLawOptions {
  Form form = Form::chinchilla;
  double huber_delta = 1e-3;     ///< of log residuals
  std::size_t starts = 200;      ///< the best of the grid, descended from; the grid's size for all
  std::size_t bootstrap = 1000;  ///< refits to resampled points; 0: no intervals
  std::uint64_t seed = 1;
  std::function<void(std::size_t done, std::size_t all)> progress = [](std::size_t, std::size_t) {};
};

/// A coefficient with what the bootstrap says of it; the error and range are 0 without one.
struct Coefficient {
  std::string name;
  double value = 0, standard_error = 0;
  Range interval;  ///< 80 %
};

struct FittedLaw {
  Form form = Form::chinchilla;
  std::vector<Coefficient> coefficients;
  std::vector<std::vector<double>> draws;  ///< one for each refit
  std::vector<double> residuals;           ///< log predicted − log measured, of each point that was fitted, in its order
  std::vector<double> predicted;
  double objective = 0;                      ///< summed Huber loss
  double median_error = 0, worst_error = 0;  ///< |predicted ÷ measured − 1|
  double r_squared = 0;                      ///< of log loss
  std::size_t starts = 0;                    ///< descended from, of `grid`
  std::size_t grid = 0;
  std::size_t agreeing = 0;  ///< starts that ended within a millionth of the best objective
  double seconds = 0;
  std::vector<std::string> warnings;  ///< what the points do not decide

  std::vector<double> values() const;
};

/// @throws UsageError naming what the points lack: too few, all of one size, tokens that follow from parameters
FittedLaw fit_law(const std::vector<Point>& points, const FitLawOptions& options);

/// Which points are left out for their few tokens per parameter, lowest first.
///
/// Such points hardly train their model: they lie where no budget would be spent, and since the term in D alone explains them a handful
/// decides β and B (in Hoffmann's points five of 245 move β from 0.37 to 0.45). Rule by default: the lowest 2 %, so none of fewer than 25.
struct OutlierRule {
  double share = 0.02;               ///< of all points, rounded
  std::optional<std::size_t> count;  ///< instead, so many
  std::size_t of(std::size_t points) const;
};
/// "5", "2%", "0". Throws UsageError naming the option.
OutlierRule parse_outlier_rule(const std::string& text);
/// The points that the rule keeps, in their order.
std::vector<Point> without_outliers(const std::vector<Point>& points, const OutlierRule& rule);

/// The fit as a law with the range of its points. @param source what the points were; @param embeddings whether their N counts them
Law to_law(const FittedLaw& fitted, const std::vector<Point>& points, std::string title, std::string source, bool embeddings);

}  // namespace longhaul::scaling
