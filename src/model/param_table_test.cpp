#include "model/param_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "model/test_specs.h"
#include "units/error.h"

namespace longhaul::model {
namespace {

ModelSpec small_llama() {
  ModelSpec spec{.name = "small", .layers = 2, .width = 24, .heads = 3, .kv_heads = 1, .head_dim = 10, .ffn_width = 37, .vocab = 101};
  spec.qkv_bias = true;
  return with_usual_values(spec);
}

std::vector<std::string> names(const ParamTable& table) {
  std::vector<std::string> result;
  for (const ParamTensor& tensor : table.tensors()) result.push_back(tensor.name);
  return result;
}

TEST(ParamTable, NamesAndOrderOfAGpt2BlockAreHuggingFaces) {
  ModelSpec spec = gpt2_124m();
  spec.layers = 1;
  const std::vector<std::string> expected = {"transformer.wte.weight",
                                             "transformer.wpe.weight",
                                             "transformer.h.0.ln_1.weight",
                                             "transformer.h.0.ln_1.bias",
                                             "transformer.h.0.attn.c_attn.weight",
                                             "transformer.h.0.attn.c_attn.bias",
                                             "transformer.h.0.attn.c_proj.weight",
                                             "transformer.h.0.attn.c_proj.bias",
                                             "transformer.h.0.ln_2.weight",
                                             "transformer.h.0.ln_2.bias",
                                             "transformer.h.0.mlp.c_fc.weight",
                                             "transformer.h.0.mlp.c_fc.bias",
                                             "transformer.h.0.mlp.c_proj.weight",
                                             "transformer.h.0.mlp.c_proj.bias",
                                             "transformer.ln_f.weight",
                                             "transformer.ln_f.bias"};
  EXPECT_EQ(names(ParamTable(spec)), expected);
  EXPECT_EQ(ParamTable(spec).at(Role::qkv_weight, 0).shape, (std::vector<std::int64_t>{768, 2304})) << "Conv1D: [in, out]";
}

TEST(ParamTable, NamesAndOrderOfALlamaBlockAreHuggingFaces) {
  ModelSpec spec = small_llama();
  spec.layers = 1;
  spec.qk_norm = true;
  const std::vector<std::string> expected = {"model.embed_tokens.weight",
                                             "model.layers.0.self_attn.q_proj.weight",
                                             "model.layers.0.self_attn.k_proj.weight",
                                             "model.layers.0.self_attn.v_proj.weight",
                                             "model.layers.0.self_attn.q_proj.bias",
                                             "model.layers.0.self_attn.k_proj.bias",
                                             "model.layers.0.self_attn.v_proj.bias",
                                             "model.layers.0.self_attn.o_proj.weight",
                                             "model.layers.0.self_attn.q_norm.weight",
                                             "model.layers.0.self_attn.k_norm.weight",
                                             "model.layers.0.mlp.gate_proj.weight",
                                             "model.layers.0.mlp.up_proj.weight",
                                             "model.layers.0.mlp.down_proj.weight",
                                             "model.layers.0.input_layernorm.weight",
                                             "model.layers.0.post_attention_layernorm.weight",
                                             "model.norm.weight",
                                             "lm_head.weight"};
  const ParamTable table(spec);
  EXPECT_EQ(names(table), expected);
  EXPECT_EQ(table.at(Role::k_weight, 0).shape, (std::vector<std::int64_t>{10, 24})) << "Linear: [out, in]";
  EXPECT_EQ(table.at(Role::q_norm, 0).shape, (std::vector<std::int64_t>{10}));
}

TEST(ParamTable, AHeadExistsOnlyWhenUntied) {
  ModelSpec spec = small_llama();
  EXPECT_NE(ParamTable(spec).find(Role::head_weight), nullptr);
  EXPECT_FALSE(ParamTable(spec).at(Role::token_embedding).multiplies);
  spec.tied_embeddings = true;
  EXPECT_EQ(ParamTable(spec).find(Role::head_weight), nullptr);
  EXPECT_TRUE(ParamTable(spec).at(Role::token_embedding).multiplies) << "it is the head";
}

TEST(ParamTable, TensorsStartAlignedAndNeverOverlapWhileFusedOnesTouch) {
  const ParamTable table(small_llama());
  std::int64_t end = 0, index = 0;
  for (const ParamTensor& tensor : table.tensors()) {
    EXPECT_GE(tensor.offset, end) << tensor.name;
    EXPECT_LT(tensor.offset - end, 16) << tensor.name;
    EXPECT_EQ(tensor.index, index) << tensor.name;
    const bool follows = tensor.role == Role::k_weight || tensor.role == Role::v_weight || tensor.role == Role::k_bias ||
                         tensor.role == Role::v_bias || tensor.role == Role::up_weight;
    EXPECT_TRUE(follows ? tensor.offset == end : tensor.offset % 16 == 0) << tensor.name;
    end = tensor.offset + tensor.count;
    index += tensor.count;
  }
  EXPECT_EQ(table.total().value, index);
  EXPECT_EQ(table.padded_count(), (end + 15) / 16 * 16);
}

TEST(ParamTable, ResidualProjectionsStartSmallerNormsAtOneBiasesAtZero) {
  const ParamTable table(gpt2_124m());
  EXPECT_EQ(table.at(Role::token_embedding).init, (Init{Init::Kind::normal, 0.02}));
  EXPECT_EQ(table.at(Role::up_weight, 3).init, (Init{Init::Kind::normal, 0.02}));
  for (Role role : {Role::output_weight, Role::down_weight}) {
    EXPECT_DOUBLE_EQ(table.at(role, 3).init.standard_deviation, 0.02 / std::sqrt(24.0));
  }
  EXPECT_EQ(table.at(Role::final_norm_weight).init.kind, Init::Kind::ones);
  EXPECT_EQ(table.at(Role::final_norm_bias).init.kind, Init::Kind::zeros);
  EXPECT_EQ(table.at(Role::qkv_bias, 0).init.kind, Init::Kind::zeros);
}

TEST(ParamTable, MatricesDecayNormsAndBiasesDoNot) {
  for (const ModelSpec& spec : {gpt2_124m(), small_llama(), qwen3_0_6b()}) {
    const ParamTable table(spec);
    for (const ParamTensor& tensor : table.tensors()) EXPECT_EQ(tensor.decays, tensor.shape.size() == 2) << tensor.name;
  }
}

TEST(ParamTable, ColumnsThenRowsSplitUnderTensorParallelism) {
  const ParamTable gpt2(gpt2_124m()), llama(small_llama());
  EXPECT_EQ(gpt2.at(Role::qkv_weight, 0).split_axis, 1);
  EXPECT_EQ(gpt2.at(Role::output_weight, 0).split_axis, 0);
  EXPECT_EQ(gpt2.at(Role::up_bias, 0).split_axis, 0);
  EXPECT_EQ(gpt2.at(Role::down_bias, 0).split_axis, -1);
  EXPECT_EQ(llama.at(Role::q_weight, 0).split_axis, 0);
  EXPECT_EQ(llama.at(Role::output_weight, 0).split_axis, 1);
  EXPECT_EQ(llama.at(Role::down_weight, 0).split_axis, 1);
  EXPECT_EQ(llama.at(Role::head_weight).split_axis, 0);
  EXPECT_EQ(llama.at(Role::final_norm_weight).split_axis, -1);
}

TEST(ParamTable, LatentAttentionAndExpertsCarryDeepSeeksNames) {
  const ParamTable table(deepseek_v3());
  const auto named = [&](const std::string& name) {
    return *std::find_if(table.tensors().begin(), table.tensors().end(), [&](const ParamTensor& tensor) { return tensor.name == name; });
  };
  EXPECT_EQ(named("model.layers.0.self_attn.kv_a_proj_with_mqa.weight").shape, (std::vector<std::int64_t>{576, 7168}));
  EXPECT_EQ(named("model.layers.2.mlp.gate_proj.weight").shape, (std::vector<std::int64_t>{18432, 7168})) << "dense layer";
  EXPECT_EQ(named("model.layers.3.mlp.experts.255.down_proj.weight").shape, (std::vector<std::int64_t>{7168, 2048}));
  EXPECT_EQ(named("model.layers.3.mlp.gate.e_score_correction_bias").count, 256);
  EXPECT_EQ(table.find(Role::up_weight, 3), nullptr) << "experts have no role of their own";
}

TEST(ParamTable, MissingTensorsAndUncountableSpecsAreErrors) {
  const ParamTable table(gpt2_124m());
  EXPECT_THROW(table.at(Role::gate_weight, 0), std::logic_error);
  EXPECT_THROW(table.at(Role::qkv_weight, 12), std::logic_error);
  ModelSpec spec = gpt2_124m();
  spec.kv_heads = 5;
  EXPECT_THROW(ParamTable{spec}, UsageError);
  spec = gpt2_124m();
  spec.width = spec.ffn_width = std::int64_t{1} << 26;
  spec.head_dim = std::int64_t{1} << 26;
  spec.layers = 1 << 12;
  EXPECT_THROW(ParamTable{spec}, UsageError) << "more parameters than 64 bits of bytes";
}

}  // namespace
}  // namespace longhaul::model
