// model/test_specs.h — specs that tests of this room share: one of each trainable family and one exotic, small or well known.
#pragma once

#include "model/spec.h"

namespace longhaul::model {

inline ModelSpec gpt2_124m() {
  ModelSpec spec{.name = "gpt2-124m", .layers = 12, .width = 768, .heads = 12, .vocab = 50257};
  spec.norm = NormKind::layer_norm;
  spec.position = PositionKind::learned;
  spec.position_rows = 1024;
  spec.mlp = MlpKind::gelu;
  spec.norm_bias = spec.qkv_bias = spec.output_bias = spec.mlp_bias = spec.tied_embeddings = true;
  return with_usual_values(spec);
}

inline ModelSpec llama_2_70b() {
  return with_usual_values(
      {.name = "llama-2-70b", .layers = 80, .width = 8192, .heads = 64, .kv_heads = 8, .ffn_width = 28672, .vocab = 32000});
}

inline ModelSpec qwen3_0_6b() {
  ModelSpec spec{
      .name = "qwen3-0.6b", .layers = 28, .width = 1024, .heads = 16, .kv_heads = 8, .head_dim = 128, .ffn_width = 3072, .vocab = 151936};
  spec.qk_norm = spec.tied_embeddings = true;
  return with_usual_values(spec);
}

inline ModelSpec mixtral_8x7b() {
  ModelSpec spec{.name = "mixtral-8x7b", .layers = 32, .width = 4096, .heads = 32, .kv_heads = 8, .ffn_width = 14336, .vocab = 32000};
  spec.experts = {.count = 8, .top_k = 2, .width = 14336};
  return with_usual_values(spec);
}

inline ModelSpec deepseek_v3() {
  ModelSpec spec{.name = "deepseek-v3", .layers = 61, .width = 7168, .heads = 128, .ffn_width = 18432, .vocab = 129280};
  spec.latent = {.q_rank = 1536, .kv_rank = 512, .qk_dim = 128, .rope_dim = 64, .value_dim = 128};
  spec.experts = {.count = 256, .top_k = 8, .width = 2048, .shared = 1, .dense_layers = 3, .router_bias = true};
  return with_usual_values(spec);
}

}  // namespace longhaul::model
