// train/noise_scale.h — the gradient noise scale B_simple = tr(Σ)/|G|²: the batch beyond which more sequences a step mostly average noise
// away (McCandlish et al. 2018, arXiv:1812.06162, section 2.2 and appendix A.1; accounting A8).
//
// |gradient|² at two batch sizes gives unbiased estimates of both parts: here of a virtual rank's share of the batch, in the mean over
// them, and of the whole batch. Each estimate alone is noisy, so each is averaged over steps and the ratio is taken of the averages.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>

namespace longhaul::train {

struct NoiseParts {
  double gradient_squared = 0;  ///< estimate of |G|² of the true gradient; may be negative by chance
  double trace = 0;             ///< estimate of tr Σ, of one sequence's gradient
};
/// |G|² = (B_big·|G_big|² − B_small·|G_small|²)/(B_big − B_small); tr Σ = (|G_small|² − |G_big|²)/(1/B_small − 1/B_big).
/// @param small_batch below big_batch, both in sequences
NoiseParts noise_parts(double small_batch, double small_norm_squared, double big_batch, double big_norm_squared);

/// The gradient of a virtual rank's share of the batch, as its accumulators have it: summed losses ÷ targets of the whole batch.
struct LeafGradient {
  double norm_squared = 0;
  std::int64_t targets = 0;  ///< unmasked, of this share
};
/// The estimate of one step; each share's gradient is scaled to the mean over its own targets.
/// @param norm_squared  of the whole batch's gradient, before the clip
/// @return nothing for a single leaf, for a leaf without targets, and where a norm is not finite
std::optional<NoiseParts> noise_parts(std::span<const LeafGradient> leaves, double norm_squared, std::int64_t global_batch);

/// Exponential averages of both parts over the steps whose update was applied; part of the training state.
class NoiseScale {
 public:
  static constexpr double kDecay = 0.99;  ///< some 100 steps count

  void add(const NoiseParts& now);
  std::int64_t steps() const { return steps_; }
  /// The averages, without the zero that they began with.
  NoiseParts mean() const;
  /// B_simple in sequences; nothing before the first step and while the averaged |G|² is not above 0.
  std::optional<double> sequences() const;

 private:
  friend nlohmann::json to_json(const NoiseScale& scale);
  friend NoiseScale noise_scale_from_json(const nlohmann::json& document);
  NoiseParts sum_;
  std::int64_t steps_ = 0;
};

/// Doubles as their bits: a resumed run has the averages of one never stopped.
nlohmann::json to_json(const NoiseScale& scale);
NoiseScale noise_scale_from_json(const nlohmann::json& document);

}  // namespace longhaul::train
