#include "model/param_table.h"

#include <cmath>
#include <stdexcept>

#include "units/error.h"

namespace longhaul::model {

std::string_view name(Role role) {
  static constexpr std::string_view kNames[] = {"token_embedding",
                                                "position_embedding",
                                                "embedding_norm_weight",
                                                "embedding_norm_bias",
                                                "attn_norm_weight",
                                                "attn_norm_bias",
                                                "qkv_weight",
                                                "qkv_bias",
                                                "q_weight",
                                                "k_weight",
                                                "v_weight",
                                                "q_bias",
                                                "k_bias",
                                                "v_bias",
                                                "q_down_weight",
                                                "q_down_norm",
                                                "q_up_weight",
                                                "kv_down_weight",
                                                "kv_down_norm",
                                                "kv_up_weight",
                                                "output_weight",
                                                "output_bias",
                                                "q_norm",
                                                "k_norm",
                                                "mlp_norm_weight",
                                                "mlp_norm_bias",
                                                "router_weight",
                                                "router_bias",
                                                "gate_weight",
                                                "up_weight",
                                                "gate_bias",
                                                "up_bias",
                                                "down_weight",
                                                "down_bias",
                                                "final_norm_weight",
                                                "final_norm_bias",
                                                "head_weight"};
  static_assert(std::size(kNames) == static_cast<std::size_t>(Role::head_weight) + 1);
  return kNames[static_cast<std::size_t>(role)];
}

namespace {

// 64 bytes of fp32: a cache line, and the widest vector.
constexpr std::int64_t kAlignment = 16;
constexpr int kReplicated = -1;
// Parameters of 4 exabytes: beyond it sums of bytes leave 64 bits.
constexpr std::int64_t kMostParameters = std::int64_t{1} << 58;

using Shape = std::vector<std::int64_t>;

/// GPT-2's layout and names: one fused projection, Conv1D weights [in, out].
bool has_gpt2_layout(const ModelSpec& spec) {
  return spec.norm == NormKind::layer_norm && spec.position == PositionKind::learned && !gated(spec.mlp) && spec.qkv_bias &&
         spec.kv_heads == spec.heads && spec.q_width() == spec.width && !spec.parallel_residual && !spec.qk_norm && !spec.embedding_norm &&
         spec.experts.count == 0 && !spec.has_latent_attention();
}

/// Writes a model's tensors one after the other and lays them out.
class Builder {
 public:
  explicit Builder(const ModelSpec& spec)
      : spec_(spec),
        normal_{Init::Kind::normal, spec.init_std},
        residual_{Init::Kind::normal, spec.init_std / std::sqrt(2.0 * static_cast<double>(spec.layers))} {}

  void gpt2();
  void llama();

  std::vector<ParamTensor> tensors;
  std::int64_t total = 0;
  std::int64_t end = 0;

 private:
  enum class Place : std::uint8_t { aligned, follows };

  ParamTensor& add(Role role, std::string name, Shape shape, Place place = Place::aligned);
  void matrix(Role role, const std::string& module, Shape shape, int split, bool residual = false, Place place = Place::aligned);
  void bias(Role role, const std::string& module, std::int64_t count, int split, Place place = Place::aligned);
  void norm(Role weight, Role bias, const std::string& module, std::int64_t width);
  void scale(Role role, const std::string& module, std::int64_t width);
  void embedding(Role role, const std::string& module, std::int64_t rows, int split, bool multiplies);

  void gpt2_layer();
  void llama_layer();
  void plain_attention(const std::string& module);
  void latent_attention(const std::string& module);
  void experts(const std::string& module);
  void mlp(const std::string& module, std::int64_t ffn_width);

  const ModelSpec& spec_;
  const Init normal_, residual_;
  std::int64_t layer_ = -1;
  std::int64_t expert_ = -1;
};

ParamTensor& Builder::add(Role role, std::string name, Shape shape, Place place) {
  ParamTensor tensor;
  tensor.name = std::move(name);
  tensor.role = role;
  tensor.layer = layer_;
  tensor.expert = expert_;
  tensor.count = 1;
  for (std::int64_t extent : shape) {
    if (extent > kMostParameters / tensor.count) throw UsageError("the model is too large to count: " + tensor.name);
    tensor.count *= extent;
  }
  tensor.shape = std::move(shape);
  if (tensor.count > kMostParameters - end) throw UsageError("the model is too large to count: more than 2^58 parameters");
  tensor.offset = place == Place::follows ? end : (end + kAlignment - 1) / kAlignment * kAlignment;
  tensor.index = total;
  end = tensor.offset + tensor.count;
  total += tensor.count;
  tensors.push_back(std::move(tensor));
  return tensors.back();
}

void Builder::matrix(Role role, const std::string& module, Shape shape, int split, bool residual, Place place) {
  ParamTensor& tensor = add(role, module + ".weight", std::move(shape), place);
  tensor.init = residual ? residual_ : normal_;
  tensor.decays = true;
  tensor.split_axis = split;
  tensor.multiplies = true;
}

void Builder::bias(Role role, const std::string& module, std::int64_t count, int split, Place place) {
  add(role, module + ".bias", {count}, place).split_axis = split;
}

void Builder::scale(Role role, const std::string& module, std::int64_t width) {
  add(role, module + ".weight", {width}).init = {Init::Kind::ones, 0};
}

void Builder::norm(Role weight, Role bias_role, const std::string& module, std::int64_t width) {
  scale(weight, module, width);
  if (spec_.norm_bias) bias(bias_role, module, width, kReplicated);
}

void Builder::embedding(Role role, const std::string& module, std::int64_t rows, int split, bool multiplies) {
  matrix(role, module, {rows, spec_.width}, split);
  tensors.back().multiplies = multiplies;
}

void Builder::gpt2() {
  embedding(Role::token_embedding, "transformer.wte", spec_.vocab, 0, spec_.tied_embeddings);
  embedding(Role::position_embedding, "transformer.wpe", spec_.position_rows, kReplicated, false);
  for (layer_ = 0; layer_ < spec_.layers; ++layer_) gpt2_layer();
  layer_ = -1;
  norm(Role::final_norm_weight, Role::final_norm_bias, "transformer.ln_f", spec_.width);
  if (!spec_.tied_embeddings) matrix(Role::head_weight, "lm_head", {spec_.vocab, spec_.width}, 0);
}

void Builder::gpt2_layer() {
  const std::int64_t width = spec_.width, ffn = spec_.ffn_width;
  const std::string block = "transformer.h." + std::to_string(layer_);
  norm(Role::attn_norm_weight, Role::attn_norm_bias, block + ".ln_1", width);
  matrix(Role::qkv_weight, block + ".attn.c_attn", {width, 3 * width}, 1);
  bias(Role::qkv_bias, block + ".attn.c_attn", 3 * width, 0);
  matrix(Role::output_weight, block + ".attn.c_proj", {width, width}, 0, true);
  if (spec_.output_bias) bias(Role::output_bias, block + ".attn.c_proj", width, kReplicated);
  norm(Role::mlp_norm_weight, Role::mlp_norm_bias, block + ".ln_2", width);
  matrix(Role::up_weight, block + ".mlp.c_fc", {width, ffn}, 1);
  if (spec_.mlp_bias) bias(Role::up_bias, block + ".mlp.c_fc", ffn, 0);
  matrix(Role::down_weight, block + ".mlp.c_proj", {ffn, width}, 0, true);
  if (spec_.mlp_bias) bias(Role::down_bias, block + ".mlp.c_proj", width, kReplicated);
}

void Builder::llama() {
  embedding(Role::token_embedding, "model.embed_tokens", spec_.vocab, 0, spec_.tied_embeddings);
  if (spec_.position == PositionKind::learned) {
    embedding(Role::position_embedding, "model.embed_positions", spec_.position_rows, kReplicated, false);
  }
  if (spec_.embedding_norm) norm(Role::embedding_norm_weight, Role::embedding_norm_bias, "model.embed_layernorm", spec_.width);
  for (layer_ = 0; layer_ < spec_.layers; ++layer_) llama_layer();
  layer_ = -1;
  norm(Role::final_norm_weight, Role::final_norm_bias, "model.norm", spec_.width);
  if (!spec_.tied_embeddings) matrix(Role::head_weight, "lm_head", {spec_.vocab, spec_.width}, 0);
}

void Builder::llama_layer() {
  const std::string block = "model.layers." + std::to_string(layer_);
  if (spec_.has_latent_attention()) {
    latent_attention(block + ".self_attn");
  } else {
    plain_attention(block + ".self_attn");
  }
  if (spec_.has_experts(layer_)) {
    experts(block + ".mlp");
  } else {
    mlp(block + ".mlp", spec_.ffn_width);
  }
  norm(Role::attn_norm_weight, Role::attn_norm_bias, block + ".input_layernorm", spec_.width);
  norm(Role::mlp_norm_weight, Role::mlp_norm_bias, block + ".post_attention_layernorm", spec_.width);
}

void Builder::plain_attention(const std::string& module) {
  const std::int64_t width = spec_.width, q = spec_.q_width(), kv = spec_.kv_width();
  matrix(Role::q_weight, module + ".q_proj", {q, width}, 0);
  matrix(Role::k_weight, module + ".k_proj", {kv, width}, 0, false, Place::follows);
  matrix(Role::v_weight, module + ".v_proj", {kv, width}, 0, false, Place::follows);
  if (spec_.qkv_bias) {
    bias(Role::q_bias, module + ".q_proj", q, 0);
    bias(Role::k_bias, module + ".k_proj", kv, 0, Place::follows);
    bias(Role::v_bias, module + ".v_proj", kv, 0, Place::follows);
  }
  matrix(Role::output_weight, module + ".o_proj", {width, q}, 1, true);
  if (spec_.output_bias) bias(Role::output_bias, module + ".o_proj", width, kReplicated);
  if (spec_.qk_norm) {
    scale(Role::q_norm, module + ".q_norm", q / spec_.heads);
    scale(Role::k_norm, module + ".k_norm", q / spec_.heads);
  }
}

void Builder::latent_attention(const std::string& module) {
  const LatentAttention& latent = spec_.latent;
  matrix(Role::q_down_weight, module + ".q_a_proj", {latent.q_rank, spec_.width}, kReplicated);
  scale(Role::q_down_norm, module + ".q_a_layernorm", latent.q_rank);
  matrix(Role::q_up_weight, module + ".q_b_proj", {spec_.heads * (latent.qk_dim + latent.rope_dim), latent.q_rank}, 0);
  matrix(Role::kv_down_weight, module + ".kv_a_proj_with_mqa", {latent.kv_rank + latent.rope_dim, spec_.width}, kReplicated);
  scale(Role::kv_down_norm, module + ".kv_a_layernorm", latent.kv_rank);
  matrix(Role::kv_up_weight, module + ".kv_b_proj", {spec_.heads * (latent.qk_dim + latent.value_dim), latent.kv_rank}, 0);
  matrix(Role::output_weight, module + ".o_proj", {spec_.width, spec_.heads * latent.value_dim}, 1, true);
}

void Builder::experts(const std::string& module) {
  const Experts& experts = spec_.experts;
  matrix(Role::router_weight, module + ".gate", {experts.count, spec_.width}, kReplicated);
  if (experts.router_bias) add(Role::router_bias, module + ".gate.e_score_correction_bias", {experts.count});
  for (expert_ = 0; expert_ < experts.count; ++expert_) mlp(module + ".experts." + std::to_string(expert_), experts.width);
  if (experts.shared > 0) mlp(module + ".shared_experts", experts.shared * experts.width);
  expert_ = -1;
}

void Builder::mlp(const std::string& module, std::int64_t ffn) {
  if (gated(spec_.mlp)) matrix(Role::gate_weight, module + ".gate_proj", {ffn, spec_.width}, 0);
  matrix(Role::up_weight, module + ".up_proj", {ffn, spec_.width}, 0, false, gated(spec_.mlp) ? Place::follows : Place::aligned);
  if (spec_.mlp_bias) {
    if (gated(spec_.mlp)) bias(Role::gate_bias, module + ".gate_proj", ffn, 0);
    bias(Role::up_bias, module + ".up_proj", ffn, 0, gated(spec_.mlp) ? Place::follows : Place::aligned);
  }
  matrix(Role::down_weight, module + ".down_proj", {spec_.width, ffn}, 1, true);
  if (spec_.mlp_bias) bias(Role::down_bias, module + ".down_proj", spec_.width, kReplicated);
}

}  // namespace

ParamTable::ParamTable(const ModelSpec& spec) {
  if (auto reason = countable(spec)) throw UsageError("model." + *reason);
  Builder builder(spec);
  if (has_gpt2_layout(spec)) {
    builder.gpt2();
  } else {
    builder.llama();
  }
  tensors_ = std::move(builder.tensors);
  total_ = builder.total;
  padded_ = (builder.end + kAlignment - 1) / kAlignment * kAlignment;
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    if (tensors_[i].expert < 0) by_role_[{tensors_[i].role, tensors_[i].layer}] = i;
  }
}

const ParamTensor* ParamTable::find(Role role, std::int64_t layer) const {
  const auto found = by_role_.find({role, layer});
  return found == by_role_.end() ? nullptr : &tensors_[found->second];
}

const ParamTensor& ParamTable::at(Role role, std::int64_t layer) const {
  if (const ParamTensor* tensor = find(role, layer)) return *tensor;
  throw std::logic_error("this model has no " + std::string(model::name(role)) + " in layer " + std::to_string(layer));
}

}  // namespace longhaul::model
