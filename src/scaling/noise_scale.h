// scaling/noise_scale.h — the gradient noise scale B_simple = tr(Σ)/|G|², in examples: the batch beyond which more examples a step
// mostly average noise away (McCandlish et al. 2018, arXiv:1812.06162, section 2.2 and appendix A.1; accounting A8).
//
// |gradient|² at two batch sizes, such as a rank's and the whole batch's, gives unbiased estimates of both parts. Each alone is noisy, so
// each is averaged over steps and the ratio is taken of the averages.
#pragma once

#include <optional>

namespace longhaul::scaling {

struct NoiseParts {
  double gradient_squared = 0;  ///< estimate of |G|² of the true gradient; may be negative by chance
  double trace = 0;             ///< estimate of tr Σ, of one example's gradient
};
/// |G|² = (B_big·|G_big|² − B_small·|G_small|²)/(B_big − B_small); tr Σ = (|G_small|² − |G_big|²)/(1/B_small − 1/B_big).
/// @param small_batch below big_batch, both in examples (or tokens: B_simple is in the same)
NoiseParts noise_parts(double small_batch, double small_norm_squared, double big_batch, double big_norm_squared);

class NoiseScale {
 public:
  /// @param decay of the exponential averages, 0…1: about 1/(1 − decay) steps count
  NoiseScale(double small_batch, double big_batch, double decay);
  /// Squared norms of the gradient averaged over the small batch (itself averaged over the small batches of the step) and the big one.
  void add(double small_norm_squared, double big_norm_squared);
  /// B_simple; nothing before the first step and while the averaged |G|² is not above 0.
  std::optional<double> value() const;

 private:
  double small_, big_, decay_;
  bool any_ = false;
  NoiseParts sum_;
};

}  // namespace longhaul::scaling
