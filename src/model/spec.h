// model/spec.h — an architecture as data: independent axes that together describe a decoder-only transformer.
//
// Every axis can be set alone, so that published models (GPT-2/3, BLOOM, OPT, Pythia, Llama, Mistral, Qwen, Mixtral, DeepSeek-V3 …) are
// files, not code; ParamTable (model/param_table.h) turns a spec into tensors, model/flops.h into work. Any spec can be counted;
// two combinations can be trained, the GPT-2 and the Llama family, and trainable() returns a sentence that explains why another one cannot.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace longhaul::model {

enum class NormKind : std::uint8_t { layer_norm, rms_norm };
/// Where a token's position enters. `learned`: a table added to the embedding; `rope`: rotation of q and k; `alibi`: a bias on scores.
enum class PositionKind : std::uint8_t { none, learned, rope, alibi };
/// gelu, relu: up, activation, down (two matrices). swiglu, geglu: activation(gate) · up, down (three matrices).
enum class MlpKind : std::uint8_t { gelu, relu, swiglu, geglu };
constexpr bool gated(MlpKind kind) { return kind == MlpKind::swiglu || kind == MlpKind::geglu; }

std::string_view name(NormKind kind);
std::string_view name(PositionKind kind);
std::string_view name(MlpKind kind);

/// Mixture of experts; count 0 means a dense model. The first `dense_layers` layers keep a dense MLP of ffn_width.
struct Experts {
  std::int64_t count = 0;         ///< routed experts of a layer
  std::int64_t top_k = 0;         ///< routed experts a token visits
  std::int64_t width = 0;         ///< hidden width of one expert
  std::int64_t shared = 0;        ///< experts every token visits, of the same width
  std::int64_t dense_layers = 0;  ///< leading layers without experts
  bool router_bias = false;       ///< one number an expert added to its score (DeepSeek-V3)
  bool operator==(const Experts&) const = default;
};

/// Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434 §2.1); kv_rank 0 means ordinary attention.
struct LatentAttention {
  std::int64_t q_rank = 0;    ///< width of the compressed query
  std::int64_t kv_rank = 0;   ///< width of the compressed key and value
  std::int64_t qk_dim = 0;    ///< part of a head's query and key without rotation
  std::int64_t rope_dim = 0;  ///< rotated part; the key's is shared by all heads
  std::int64_t value_dim = 0;
  bool operator==(const LatentAttention&) const = default;
};

struct ModelSpec {
  std::string name{};
  std::int64_t layers = 0;
  std::int64_t width = 0;  ///< of the residual stream ("hidden size")
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;  ///< key/value heads; heads is a multiple of it
  std::int64_t head_dim = 0;  ///< 0 only where heads does not divide width: such a spec can be counted, not trained
  std::int64_t ffn_width = 0;
  std::int64_t vocab = 0;

  NormKind norm = NormKind::rms_norm;
  double norm_epsilon = 1e-5;
  bool norm_bias = false;
  bool embedding_norm = false;  ///< a norm right after the embedding (BLOOM)

  PositionKind position = PositionKind::rope;
  std::int64_t position_rows = 0;  ///< rows of the learned table; otherwise the longest context the model is meant for
  double rope_theta = 10000;
  double rope_fraction = 1;  ///< share of head_dim that is rotated (Pythia, GPT-NeoX: 0.25)

  bool qkv_bias = false;
  bool output_bias = false;  ///< of the attention's output projection
  bool qk_norm = false;      ///< RMSNorm over each head of q and k before rotation (Qwen3)
  MlpKind mlp = MlpKind::swiglu;
  bool mlp_bias = false;
  bool parallel_residual = false;  ///< attention and MLP read the same input (GPT-NeoX)
  bool tied_embeddings = false;    ///< the head is the token embedding

  double init_std = 0.02;  ///< standard deviation of initial weights; residual projections divide it by √(2·layers)

  Experts experts{};
  LatentAttention latent{};

  bool operator==(const ModelSpec&) const = default;

  bool has_experts(std::int64_t layer) const { return experts.count > 0 && layer >= experts.dense_layers; }
  bool has_latent_attention() const { return latent.kv_rank > 0; }
  /// Width of all query heads together, and of all key (or value) heads. Without a head_dim: as if width were split exactly.
  std::int64_t q_width() const { return head_dim > 0 ? heads * head_dim : width; }
  std::int64_t kv_width() const { return head_dim > 0 ? kv_heads * head_dim : width * kv_heads / heads; }
  /// Elements of one head's dot product, and of one head's value.
  double qk_head_width() const;
  double value_head_width() const;
};

/// Fills axes that have a usual value when left 0: kv_heads = heads, head_dim = width / heads where it divides, ffn_width = 4·width.
ModelSpec with_usual_values(ModelSpec spec);

/// The most that one size of a spec may be: far above any published model; keeps every product of two sizes inside 64 bits and a table of
/// tensors inside memory.
inline constexpr std::int64_t kLargestSize = std::int64_t{1} << 26;

/// What makes this spec impossible even to count (a negative size, kv_heads not dividing heads …); nothing if it can be counted.
/// The sentence names the axis as in the option table, without the table's name.
std::optional<std::string> countable(const ModelSpec& spec);

/// The two families that can be trained, named after the Hugging Face models whose tensor names and layouts they share.
/// gpt2: LayerNorm with biases, learned positions, GELU, biases everywhere. llama: RMSNorm, RoPE, SwiGLU, grouped heads; optional bias on
/// q, k, v (Qwen2) and optional qk_norm (Qwen3). Both tied or untied.
enum class Family : std::uint8_t { gpt2, llama };

/// Why this spec cannot be trained, in a sentence that names the axis; nothing if it can.
std::optional<std::string> trainable(const ModelSpec& spec);
/// The family of a trainable spec. Throws UsageError with trainable()'s sentence otherwise.
Family family_of(const ModelSpec& spec);

}  // namespace longhaul::model
