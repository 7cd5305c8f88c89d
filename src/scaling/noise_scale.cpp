#include "scaling/noise_scale.h"

namespace longhaul::scaling {

NoiseParts noise_parts(double small_batch, double small_norm_squared, double big_batch, double big_norm_squared) {
  return {(big_batch * big_norm_squared - small_batch * small_norm_squared) / (big_batch - small_batch),
          (small_norm_squared - big_norm_squared) / (1 / small_batch - 1 / big_batch)};
}

NoiseScale::NoiseScale(double small_batch, double big_batch, double decay) : small_(small_batch), big_(big_batch), decay_(decay) {}

void NoiseScale::add(double small_norm_squared, double big_norm_squared) {
  const NoiseParts now = noise_parts(small_, small_norm_squared, big_, big_norm_squared);
  any_ = true;
  sum_.gradient_squared = decay_ * sum_.gradient_squared + (1 - decay_) * now.gradient_squared;
  sum_.trace = decay_ * sum_.trace + (1 - decay_) * now.trace;
}

std::optional<double> NoiseScale::value() const {
  // Both averages begin at 0: what that takes from them cancels in their ratio.
  if (!any_ || !(sum_.gradient_squared > 0)) return std::nullopt;
  return sum_.trace / sum_.gradient_squared;
}

}  // namespace longhaul::scaling
