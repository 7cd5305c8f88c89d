#include "model/hf_config.h"

#include <nlohmann/json.hpp>

#include "units/error.h"

namespace longhaul::model {
namespace {

nlohmann::json gpt2_config(const ModelSpec& spec) {
  return {{"architectures", {"GPT2LMHeadModel"}},
          {"model_type", "gpt2"},
          {"n_layer", spec.layers},
          {"n_embd", spec.width},
          {"n_head", spec.heads},
          {"n_inner", spec.ffn_width},
          {"n_positions", spec.position_rows},
          {"layer_norm_epsilon", spec.norm_epsilon},
          {"activation_function", "gelu_new"},
          {"attn_pdrop", 0.0},
          {"embd_pdrop", 0.0},
          {"resid_pdrop", 0.0},
          {"initializer_range", spec.init_std}};
}

nlohmann::json llama_config(const ModelSpec& spec, std::int64_t sequence_length) {
  if (spec.qk_norm && spec.qkv_bias)
    throw UsageError("transformers has no class with both model.qk_norm and model.qkv_bias: export needs one of them off");
  const char* type = spec.qk_norm ? "qwen3" : spec.qkv_bias ? "qwen2" : "llama";
  const char* architecture = spec.qk_norm ? "Qwen3ForCausalLM" : spec.qkv_bias ? "Qwen2ForCausalLM" : "LlamaForCausalLM";
  if (spec.qkv_bias && spec.head_dim * spec.heads != spec.width)
    throw UsageError("Qwen2ForCausalLM takes head_dim = width / heads: model.head_dim differs, so export has no class for this model");
  return {{"architectures", {architecture}},
          {"model_type", type},
          {"num_hidden_layers", spec.layers},
          {"hidden_size", spec.width},
          {"num_attention_heads", spec.heads},
          {"num_key_value_heads", spec.kv_heads},
          {"head_dim", spec.head_dim},
          {"intermediate_size", spec.ffn_width},
          {"max_position_embeddings", spec.position_rows > 0 ? spec.position_rows : sequence_length},
          {"rms_norm_eps", spec.norm_epsilon},
          {"rope_theta", spec.rope_theta},
          {"rope_parameters", {{"rope_type", "default"}, {"rope_theta", spec.rope_theta}}},
          {"hidden_act", "silu"},
          {"attention_bias", false},
          {"mlp_bias", false},
          {"attention_dropout", 0.0},
          {"initializer_range", spec.init_std},
          {"use_sliding_window", false}};
}

}  // namespace

nlohmann::json hf_config(const ModelSpec& spec, std::int64_t sequence_length, std::optional<std::int64_t> begin, std::int64_t end) {
  nlohmann::json out = family_of(spec) == Family::gpt2 ? gpt2_config(spec) : llama_config(spec, sequence_length);
  out["vocab_size"] = spec.vocab;
  out["tie_word_embeddings"] = spec.tied_embeddings;
  out["bos_token_id"] = begin ? nlohmann::json(*begin) : nlohmann::json();
  out["eos_token_id"] = end;
  out["torch_dtype"] = "float32";
  return out;
}

}  // namespace longhaul::model
