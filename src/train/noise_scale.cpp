#include "train/noise_scale.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "files/read.h"
#include "kernels/elementary/elementary64.h"

namespace longhaul::train {

NoiseParts noise_parts(double small_batch, double small_norm_squared, double big_batch, double big_norm_squared) {
  return {(big_batch * big_norm_squared - small_batch * small_norm_squared) / (big_batch - small_batch),
          (small_norm_squared - big_norm_squared) / (1 / small_batch - 1 / big_batch)};
}

std::optional<NoiseParts> noise_parts(std::span<const LeafGradient> leaves, double norm_squared, std::int64_t global_batch) {
  if (leaves.size() < 2) return std::nullopt;
  std::int64_t targets = 0;
  for (const LeafGradient& leaf : leaves) targets += leaf.targets;
  const auto count = static_cast<double>(leaves.size()), batch = static_cast<double>(global_batch);
  double small = 0;
  for (const LeafGradient& leaf : leaves) {
    if (leaf.targets == 0) return std::nullopt;
    const double scale = static_cast<double>(targets) / static_cast<double>(leaf.targets);
    small += leaf.norm_squared * scale * scale / count;
  }
  const NoiseParts parts = noise_parts(batch / count, small, batch, norm_squared);
  if (!std::isfinite(parts.gradient_squared) || !std::isfinite(parts.trace)) return std::nullopt;
  return parts;
}

void NoiseScale::add(const NoiseParts& now) {
  ++steps_;
  sum_.gradient_squared = kDecay * sum_.gradient_squared + (1 - kDecay) * now.gradient_squared;
  sum_.trace = kDecay * sum_.trace + (1 - kDecay) * now.trace;
}

NoiseParts NoiseScale::mean() const {
  if (steps_ == 0) return {};
  const double weight = 1 - kernels::pow64(kDecay, static_cast<double>(steps_));
  return {sum_.gradient_squared / weight, sum_.trace / weight};
}

std::optional<double> NoiseScale::sequences() const {
  if (steps_ == 0 || !(sum_.gradient_squared > 0)) return std::nullopt;
  return sum_.trace / sum_.gradient_squared;
}

nlohmann::json to_json(const NoiseScale& scale) {
  return {{"gradient_squared", files::double_bits(scale.sum_.gradient_squared)},
          {"trace", files::double_bits(scale.sum_.trace)},
          {"steps", scale.steps_}};
}

NoiseScale noise_scale_from_json(const nlohmann::json& document) {
  NoiseScale scale;
  scale.sum_.gradient_squared = files::double_from_bits(document.at("gradient_squared").get<std::string>());
  scale.sum_.trace = files::double_from_bits(document.at("trace").get<std::string>());
  scale.steps_ = document.at("steps").get<std::int64_t>();
  return scale;
}

}  // namespace longhaul::train
