#include "scaling/family.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "model/flops.h"
#include "model/param_table.h"
#include "scaling/text.h"
#include "units/error.h"

namespace longhaul::scaling {
namespace {

constexpr std::int64_t kHeadDim = 128, kFfnMultiple = 256, kLeastWidth = 128, kMostWidth = 40'960;

/// Width and layers of published models: GPT-3 125M, 350M and 1.3B (Brown et al. 2020), LLaMA 7B to 65B (Touvron et al. 2023a), GPT-3
/// 175B, Llama 3.1 405B (Dubey et al. 2024).
struct Depth {
  double width, layers;
};
constexpr std::array<Depth, 9> kDepths{
    {{768, 12}, {1024, 24}, {2048, 24}, {4096, 32}, {5120, 40}, {6656, 60}, {8192, 80}, {12288, 96}, {16384, 126}}};

/// Widths whose heads eight or four tensor-parallel ranks can share, the finer the smaller; about a tenth apart.
bool usual(std::int64_t width) { return width % (width >= 4096 ? 512 : width >= 1536 ? 256 : kHeadDim) == 0; }

/// N of a width as a line in the layers, from its two smallest tables: whole tables of a hundred layers take a millisecond each.
class CountsOfWidth {
 public:
  CountsOfWidth(std::int64_t width, bool embeddings, const FamilyOptions& options)
      : one_(parameters_of(shape_of(width, 1, options), embeddings)),
        layer_(parameters_of(shape_of(width, 2, options), embeddings) - one_) {}
  double operator()(std::int64_t layers) const { return one_ + layer_ * static_cast<double>(layers - 1); }

 private:
  double one_, layer_;
};

double log_distance(double a, double b) { return std::abs(std::log(a / b)); }

}  // namespace

std::int64_t usual_layers(std::int64_t width) {
  const double w = static_cast<double>(width);
  // Beyond either end the ratio of width to layers stays that of the end.
  if (w <= kDepths.front().width) return std::max<std::int64_t>(2, std::llround(w * kDepths.front().layers / kDepths.front().width));
  if (w >= kDepths.back().width) return std::llround(w * kDepths.back().layers / kDepths.back().width);
  const auto above = std::upper_bound(kDepths.begin(), kDepths.end(), w, [](double x, const Depth& d) { return x < d.width; });
  const Depth &high = *above, &low = *(above - 1);
  const double share = std::log(w / low.width) / std::log(high.width / low.width);
  return std::llround(low.layers * std::pow(high.layers / low.layers, share));
}

model::ModelSpec shape_of(std::int64_t width, std::int64_t layers, const FamilyOptions& options) {
  constexpr std::int64_t kGroupedFromWidth = 4096, kGroups = 8, kFewerGroups = 4;
  model::ModelSpec spec;
  spec.layers = layers, spec.width = width, spec.head_dim = kHeadDim, spec.heads = width / kHeadDim;
  spec.kv_heads = spec.heads;
  if (width >= kGroupedFromWidth)
    for (const std::int64_t groups : {kFewerGroups, kGroups})
      if (spec.heads % groups == 0) spec.kv_heads = groups;
  spec.ffn_width = (8 * width / 3 + kFfnMultiple - 1) / kFfnMultiple * kFfnMultiple;
  spec.vocab = options.vocab, spec.position_rows = options.sequence_length, spec.tied_embeddings = options.tied_embeddings;
  spec.name = fmt::format("scaled-{}x{}", layers, width);
  return spec;
}

double parameters_of(const model::ModelSpec& spec, bool embeddings) {
  const model::ParamCounts counts = model::count_params(spec);
  const std::int64_t head = spec.tied_embeddings ? 0 : spec.vocab * spec.width;
  return static_cast<double>(embeddings ? counts.total.value : counts.total.value - counts.embedding.value - head);
}

std::vector<model::ModelSpec> family_between(double low, double high, bool embeddings, const FamilyOptions& options) {
  std::vector<model::ModelSpec> out;
  for (std::int64_t width = kLeastWidth; width <= kMostWidth; width += kHeadDim) {
    if (!usual(width)) continue;
    const double n = CountsOfWidth(width, embeddings, options)(usual_layers(width));
    if (n > high) break;
    if (n >= low) out.push_back(shape_of(width, usual_layers(width), options));
  }
  return out;
}

model::ModelSpec nearest_shape(double parameters, bool embeddings, const FamilyOptions& options) {
  model::ModelSpec best;
  double best_score = INFINITY, best_distance = INFINITY;
  for (std::int64_t width = kLeastWidth; width <= kMostWidth; width += kHeadDim) {
    if (!usual(width)) continue;
    const CountsOfWidth count(width, embeddings, options);
    const std::int64_t depth = usual_layers(width), spread = std::max<std::int64_t>(1, depth / 5);
    for (std::int64_t layers = std::max<std::int64_t>(1, depth - spread); layers <= depth + spread; ++layers) {
      const double distance = log_distance(count(layers), parameters);
      // Of shapes about as near the one with the usual depth.
      const double score = distance + 0.1 * log_distance(static_cast<double>(layers), static_cast<double>(depth));
      if (score < best_score) best = shape_of(width, layers, options), best_score = score, best_distance = distance;
    }
  }
  if (best_distance > std::log(1.3))
    throw UsageError(
        fmt::format("no Llama-like shape with a vocabulary of {} has about {} parameters; the family spans widths from {} to {}: "
                    "give another budget, or a smaller --vocab",
                    options.vocab, count_text(parameters), kLeastWidth, kMostWidth));
  return best;
}

}  // namespace longhaul::scaling
