#include "model/spec.h"

#include <array>
#include <utility>

#include "units/error.h"

namespace longhaul::model {

std::string_view name(NormKind kind) { return kind == NormKind::layer_norm ? "layer_norm" : "rms_norm"; }

std::string_view name(PositionKind kind) {
  switch (kind) {
    case PositionKind::none:
      return "none";
    case PositionKind::learned:
      return "learned";
    case PositionKind::rope:
      return "rope";
    case PositionKind::alibi:
      return "alibi";
  }
  return "";
}

std::string_view name(MlpKind kind) {
  switch (kind) {
    case MlpKind::gelu:
      return "gelu";
    case MlpKind::relu:
      return "relu";
    case MlpKind::swiglu:
      return "swiglu";
    case MlpKind::geglu:
      return "geglu";
  }
  return "";
}

double ModelSpec::qk_head_width() const {
  if (has_latent_attention()) return static_cast<double>(latent.qk_dim + latent.rope_dim);
  return static_cast<double>(q_width()) / static_cast<double>(heads);
}

double ModelSpec::value_head_width() const {
  return has_latent_attention() ? static_cast<double>(latent.value_dim) : static_cast<double>(q_width()) / static_cast<double>(heads);
}

ModelSpec with_usual_values(ModelSpec spec) {
  if (spec.kv_heads == 0) spec.kv_heads = spec.heads;
  if (spec.head_dim == 0 && spec.heads > 0 && spec.width % spec.heads == 0) spec.head_dim = spec.width / spec.heads;
  if (spec.ffn_width == 0) spec.ffn_width = 4 * spec.width;
  return spec;
}

namespace {

constexpr std::int64_t kMostMlps = std::int64_t{1} << 18;

std::string equals(std::string_view axis, std::int64_t value) { return std::string(axis) + " = " + std::to_string(value); }

std::optional<std::string> impossible_size(const ModelSpec& spec) {
  const std::array<std::pair<const char*, std::int64_t>, 6> sizes = {{{"layers", spec.layers},
                                                                      {"width", spec.width},
                                                                      {"heads", spec.heads},
                                                                      {"kv_heads", spec.kv_heads},
                                                                      {"ffn_width", spec.ffn_width},
                                                                      {"vocab", spec.vocab}}};
  for (const auto& [axis, value] : sizes) {
    if (value < 1 || value > kLargestSize) return equals(axis, value) + ": allowed are 1 to " + std::to_string(kLargestSize);
  }
  if (spec.head_dim < 0 || spec.head_dim > kLargestSize) return equals("head_dim", spec.head_dim) + " must be positive";
  if (spec.heads % spec.kv_heads != 0) {
    return equals("kv_heads", spec.kv_heads) + " does not divide heads = " + std::to_string(spec.heads);
  }
  if (spec.head_dim == 0 && spec.width * spec.kv_heads % spec.heads != 0) {
    return equals("heads", spec.heads) + " does not divide width = " + std::to_string(spec.width) + "; give head_dim";
  }
  if (spec.position == PositionKind::learned && (spec.position_rows < 1 || spec.position_rows > kLargestSize)) {
    return equals("position_rows", spec.position_rows) + ": learned positions need a table of at least one row";
  }
  return std::nullopt;
}

std::optional<std::string> impossible_experts(const ModelSpec& spec) {
  const Experts& experts = spec.experts;
  if (experts.count == 0) return std::nullopt;
  if (experts.count < 0 || experts.count > kLargestSize) return equals("experts", experts.count) + " must not be negative";
  if (experts.top_k < 1 || experts.top_k > experts.count) {
    return equals("experts_top_k", experts.top_k) + ": allowed are 1 to experts = " + std::to_string(experts.count);
  }
  if (experts.width < 1 || experts.width > kLargestSize) return equals("expert_width", experts.width) + " must be positive";
  if (experts.shared < 0 || experts.shared > kMostMlps) return equals("experts_shared", experts.shared) + " must not be negative";
  if (experts.dense_layers < 0 || experts.dense_layers > spec.layers) {
    return equals("dense_layers", experts.dense_layers) + ": allowed are 0 to layers = " + std::to_string(spec.layers);
  }
  return std::nullopt;
}

std::optional<std::string> impossible_latent(const LatentAttention& latent) {
  if (latent == LatentAttention{}) return std::nullopt;
  const std::array<std::pair<const char*, std::int64_t>, 5> sizes = {{{"latent_q_rank", latent.q_rank},
                                                                      {"latent_kv_rank", latent.kv_rank},
                                                                      {"latent_qk_dim", latent.qk_dim},
                                                                      {"latent_rope_dim", latent.rope_dim},
                                                                      {"latent_value_dim", latent.value_dim}}};
  for (const auto& [axis, value] : sizes) {
    if (value < 1 || value > kLargestSize) return equals(axis, value) + ": latent attention needs all five latent_ sizes, each positive";
  }
  return std::nullopt;
}

/// One requirement of a family: whether it is met, the value in the spec, the value that is needed.
struct Requirement {
  bool met;
  std::string is;
  std::string needed;
};

std::string equals(std::string_view axis, std::string_view value) { return std::string(axis) + " = " + std::string(value); }
Requirement wants(std::string_view axis, bool is, bool wanted) {
  return {is == wanted, equals(axis, is ? "true" : "false"), equals(axis, wanted ? "true" : "false")};
}
template <class Kind>
Requirement wants(std::string_view axis, Kind is, Kind wanted) {
  return {is == wanted, equals(axis, name(is)), equals(axis, name(wanted))};
}

std::optional<std::string> unmet(std::string_view family, std::initializer_list<Requirement> requirements) {
  for (const Requirement& requirement : requirements) {
    if (requirement.met) continue;
    return requirement.is + " can be counted but not trained: the " + std::string(family) + " family needs " + requirement.needed;
  }
  return std::nullopt;
}

std::optional<std::string> untrainable_gpt2(const ModelSpec& spec) {
  return unmet("gpt2", {wants("position", spec.position, PositionKind::learned),
                        wants("norm_bias", spec.norm_bias, true),
                        wants("qkv_bias", spec.qkv_bias, true),
                        wants("output_bias", spec.output_bias, true),
                        wants("mlp", spec.mlp, MlpKind::gelu),
                        wants("mlp_bias", spec.mlp_bias, true),
                        wants("qk_norm", spec.qk_norm, false),
                        {spec.kv_heads == spec.heads, equals("kv_heads", spec.kv_heads), equals("kv_heads", spec.heads) + " (heads)"},
                        {spec.q_width() == spec.width, equals("head_dim", spec.head_dim),
                         "heads · head_dim = width = " + std::to_string(spec.width)}});
}

std::optional<std::string> untrainable_llama(const ModelSpec& spec) {
  return unmet("llama", {wants("position", spec.position, PositionKind::rope),
                         wants("norm_bias", spec.norm_bias, false),
                         wants("output_bias", spec.output_bias, false),
                         wants("mlp", spec.mlp, MlpKind::swiglu),
                         wants("mlp_bias", spec.mlp_bias, false),
                         {spec.rope_fraction == 1, equals("rope_fraction", std::to_string(spec.rope_fraction)), "rope_fraction = 1"},
                         {spec.head_dim % 2 == 0, equals("head_dim", spec.head_dim), "an even head_dim (rotation works on pairs)"}});
}

}  // namespace

std::optional<std::string> countable(const ModelSpec& spec) {
  if (auto reason = impossible_size(spec)) return reason;
  if (auto reason = impossible_experts(spec)) return reason;
  if (auto reason = impossible_latent(spec.latent)) return reason;
  const std::int64_t mlps_per_layer = spec.experts.count + 1;
  if (mlps_per_layer > kMostMlps / spec.layers) {
    return equals("layers", spec.layers) + " with experts = " + std::to_string(spec.experts.count) + ": more than " +
           std::to_string(kMostMlps) + " MLPs in all";
  }
  return std::nullopt;
}

std::optional<std::string> trainable(const ModelSpec& spec) {
  if (auto reason = countable(spec)) return reason;
  if (spec.head_dim == 0) {
    return equals("heads", spec.heads) + " does not divide width = " + std::to_string(spec.width) +
           ": such a model can be counted but not trained; give head_dim, or a width that heads divides";
  }
  if (auto reason = unmet("trainable (gpt2 or llama)",
                          {wants("embedding_norm", spec.embedding_norm, false),
                           wants("parallel_residual", spec.parallel_residual, false),
                           {spec.experts.count == 0, equals("experts", spec.experts.count), "experts = 0"},
                           {!spec.has_latent_attention(), equals("latent_kv_rank", spec.latent.kv_rank), "latent_kv_rank = 0"}})) {
    return reason;
  }
  return spec.norm == NormKind::layer_norm ? untrainable_gpt2(spec) : untrainable_llama(spec);
}

Family family_of(const ModelSpec& spec) {
  if (auto reason = trainable(spec)) throw UsageError("model." + *reason);
  return spec.norm == NormKind::layer_norm ? Family::gpt2 : Family::llama;
}

}  // namespace longhaul::model
