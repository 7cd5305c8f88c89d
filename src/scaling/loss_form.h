// scaling/loss_form.h — the loss as a fit sees it: log L and its gradient in coordinates in which descent is well conditioned.
//
// Terms are centred: log(A/N^α) = t − α·(log N − mean log N), so that a coefficient and its exponent hardly move each other (uncentred,
// log A follows α with a factor of 20). Chinchilla: log L = log(e^(t₁ − αz_N) + e^(t₂ − βz_D) + e^ε), z centred logarithms, ε = log E;
// Kaplan: log L = αD·log(e^(t₁ − r·z_N) + e^(t₂ − z_D)), r = αN/αD; one variable: log L = log(e^(t − αz) + e^ε).
#pragma once

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "scaling/law.h"
#include "scaling/points.h"

namespace longhaul::scaling {

/// A point in centred logarithms; of one variable `n` is that variable's.
struct Sample {
  double n = 0, d = 0, log_loss = 0;
};
inline constexpr std::size_t kMostCoefficients = 5;
using Gradient = std::array<double, kMostCoefficients>;

class LossForm {
 public:
  LossForm(Form form, const std::vector<Point>& points);

  std::vector<Sample> samples(const std::vector<Point>& points) const;
  /// @param theta as many as coefficient_names(form). @param gradient may be null
  double log_loss(const double* theta, const Sample& at, Gradient* gradient) const;
  /// Coefficients as papers name them.
  std::vector<double> coefficients(const std::vector<double>& theta) const;
  /// Starts: Hoffmann's grid for Chinchilla's form, grids of its kind for the others.
  std::vector<std::vector<double>> grid() const;
  /// Least and most of each coordinate: far from any law, near enough that everything stays finite.
  std::pair<std::vector<double>, std::vector<double>> bounds() const;
  /// Names of coefficients that lie on a bound.
  std::vector<std::string> at_bounds(const std::vector<double>& theta) const;

 private:
  double variable(const Point& p) const;

  Form form_;
  double mean_n_ = 0, mean_d_ = 0;
};

/// Throws UsageError that says what the points lack for this form: too few, all of one size, tokens that follow from parameters.
void require_identifiable(Form form, const std::vector<Point>& points);

}  // namespace longhaul::scaling
