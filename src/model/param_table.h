// model/param_table.h — the single list of a model's tensors: the planner sums it, the trainer allocates it, the checkpoint names by it.
//
// Names and layouts are Hugging Face's, so that reading and writing translate nothing: GPT2LMHeadModel's for the gpt2 family (Conv1D
// weights, [in, out]), LlamaForCausalLM's otherwise ([out, in]; Qwen2, Qwen3 and DeepSeek-V3 add theirs). Architectures that can only be
// counted use the Llama names. Order (it fixes the order of norms and hashes): embeddings; per layer the modules in Hugging Face's order;
// final norm; head. Within an attention module the weights of q, k, v come first, then their biases, then o, then the qk-norms.
//
// The table also lays out one flat buffer of elements. Tensors start at multiples of 16 elements (64 bytes of fp32), except that
// tensors which act as one follow each other without a gap: the weights of q, k, v form one [(heads + 2·kv_heads)·head_dim, width]
// matrix, their biases one vector, gate and up one [2·ffn_width, width] matrix.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/spec.h"
#include "units/units.h"

namespace longhaul::model {

enum class Role : std::uint8_t {
  token_embedding,     ///< [vocab, width]
  position_embedding,  ///< [position_rows, width]
  embedding_norm_weight,
  embedding_norm_bias,
  attn_norm_weight,
  attn_norm_bias,
  qkv_weight,  ///< gpt2 only: [width, 3·width], columns q | k | v
  qkv_bias,
  q_weight,  ///< [heads·head_dim, width]
  k_weight,
  v_weight,
  q_bias,
  k_bias,
  v_bias,
  q_down_weight,  ///< latent attention: q_a, q_b, kv_a, kv_b of DeepSeek
  q_down_norm,
  q_up_weight,
  kv_down_weight,
  kv_down_norm,
  kv_up_weight,
  output_weight,  ///< gpt2: [heads·head_dim, width]; llama: [width, heads·head_dim]
  output_bias,
  q_norm,  ///< [head_dim]
  k_norm,
  mlp_norm_weight,
  mlp_norm_bias,
  router_weight,  ///< [experts, width]
  router_bias,
  gate_weight,  ///< [ffn_width, width]
  up_weight,    ///< gpt2: [width, ffn_width]; llama: [ffn_width, width]
  gate_bias,
  up_bias,
  down_weight,  ///< gpt2: [ffn_width, width]; llama: [width, ffn_width]
  down_bias,
  final_norm_weight,
  final_norm_bias,
  head_weight,  ///< [vocab, width]; absent when tied
};
std::string_view name(Role role);

/// Default initial values. Normal: N(0, standard_deviation²) by global element index (kernels::fill_normal), GPT-2's scheme for both
/// families: 0.02, and 0.02/√(2·layers) for the two projections into the residual stream of each layer (Radford et al. 2019 §2.3;
/// Megatron-LM's scaled_init_method_normal does the same for Llama shapes). Norm weights 1, biases 0.
struct Init {
  enum class Kind : std::uint8_t { normal, ones, zeros };
  Kind kind = Kind::zeros;
  double standard_deviation = 0;
  bool operator==(const Init&) const = default;
};

struct ParamTensor {
  std::string name;
  Role role{};
  std::int64_t layer = -1;   ///< -1 outside the layers
  std::int64_t expert = -1;  ///< routed experts from 0, then shared ones; -1 outside experts
  std::vector<std::int64_t> shape;
  std::int64_t count = 0;   ///< elements
  std::int64_t offset = 0;  ///< first element in the flat buffer
  /// First element in the unpadded sequence of all elements in table order: the index that initialisation draws by, so that padding
  /// reaches no bit.
  std::int64_t index = 0;
  Init init;
  /// Weight decay: every matrix, the embeddings and the head included (as in nanoGPT, llm.c and Megatron-LM); norms and biases never.
  bool decays = false;
  /// Axis that tensor parallelism splits, -1 for none (replicated). qkv_weight and qkv_bias split inside each of q, k, v.
  int split_axis = -1;
  /// Takes part in a matrix product with every token (the head does; embeddings, norms, biases do not).
  bool multiplies = false;
};

class ParamTable {
 public:
  /// Throws UsageError when the spec cannot be counted.
  explicit ParamTable(const ModelSpec& spec);

  const std::vector<ParamTensor>& tensors() const { return tensors_; }
  /// The one tensor of this role outside experts (layer -1 outside the layers); null when the model has none.
  const ParamTensor* find(Role role, std::int64_t layer = -1) const;
  /// Same; a missing tensor is a programming mistake (std::logic_error).
  const ParamTensor& at(Role role, std::int64_t layer = -1) const;

  /// Elements of all tensors.
  Params total() const { return Params(total_); }
  /// Elements of the flat buffer, gaps included; a multiple of 16.
  std::int64_t padded_count() const { return padded_; }

 private:
  std::vector<ParamTensor> tensors_;
  std::map<std::pair<Role, std::int64_t>, std::size_t> by_role_;
  std::int64_t total_ = 0;
  std::int64_t padded_ = 0;
};

}  // namespace longhaul::model
