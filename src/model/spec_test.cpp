#include "model/spec.h"

#include <gtest/gtest.h>

#include "model/test_specs.h"
#include "units/error.h"

namespace longhaul::model {
namespace {

TEST(Spec, UsualValuesFollowFromWidthAndHeads) {
  const ModelSpec spec = with_usual_values({.layers = 1, .width = 96, .heads = 6, .vocab = 10});
  EXPECT_EQ(spec.kv_heads, 6);
  EXPECT_EQ(spec.head_dim, 16);
  EXPECT_EQ(spec.ffn_width, 384);
}

TEST(Spec, TheTwoFamiliesAndTheirVariantsAreTrainable) {
  EXPECT_EQ(family_of(gpt2_124m()), Family::gpt2);
  EXPECT_EQ(family_of(llama_2_70b()), Family::llama);
  EXPECT_EQ(family_of(qwen3_0_6b()), Family::llama);
  ModelSpec qwen2 = llama_2_70b();
  qwen2.qkv_bias = true;
  EXPECT_EQ(family_of(qwen2), Family::llama);
  ModelSpec untied = gpt2_124m();
  untied.tied_embeddings = false;
  EXPECT_EQ(family_of(untied), Family::gpt2);
}

TEST(Spec, ARefusalNamesTheAxisAndWhatIsNeeded) {
  ModelSpec spec = gpt2_124m();
  spec.mlp = MlpKind::relu;
  EXPECT_EQ(trainable(spec).value(), "mlp = relu can be counted but not trained: the gpt2 family needs mlp = gelu");
  spec = llama_2_70b();
  spec.rope_fraction = 0.25;
  EXPECT_NE(trainable(spec).value().find("rope_fraction"), std::string::npos);
  spec = llama_2_70b();
  spec.position = PositionKind::alibi;
  EXPECT_NE(trainable(spec).value().find("position = alibi"), std::string::npos);
  EXPECT_NE(trainable(mixtral_8x7b()).value().find("experts = 8"), std::string::npos);
  EXPECT_NE(trainable(deepseek_v3()).value().find("experts = 256"), std::string::npos);
  spec = gpt2_124m();
  spec.parallel_residual = true;
  EXPECT_NE(trainable(spec).value().find("parallel_residual"), std::string::npos);
  EXPECT_THROW(family_of(spec), UsageError);
}

TEST(Spec, GPT3_13BAsPrintedCanBeCountedButNotTrained) {
  ModelSpec spec = gpt2_124m();
  spec.layers = 40, spec.width = 5140, spec.heads = 40, spec.kv_heads = 0, spec.head_dim = 0, spec.ffn_width = 0;
  spec = with_usual_values(spec);
  EXPECT_EQ(spec.head_dim, 0);
  EXPECT_FALSE(countable(spec));
  EXPECT_NE(trainable(spec).value().find("heads = 40 does not divide width = 5140"), std::string::npos);
}

TEST(Spec, OddHeadDimCannotRotate) {
  ModelSpec spec = llama_2_70b();
  spec.head_dim = 127;
  EXPECT_NE(trainable(spec).value().find("even head_dim"), std::string::npos);
}

TEST(Spec, ImpossibleSizesCannotBeCounted) {
  ModelSpec spec = llama_2_70b();
  spec.kv_heads = 7;
  EXPECT_EQ(countable(spec).value(), "kv_heads = 7 does not divide heads = 64");
  spec = llama_2_70b();
  spec.layers = 0;
  EXPECT_TRUE(countable(spec));
  spec = gpt2_124m();
  spec.position_rows = 0;
  EXPECT_TRUE(countable(spec));
  spec = mixtral_8x7b();
  spec.experts.top_k = 9;
  EXPECT_NE(countable(spec).value().find("experts_top_k = 9"), std::string::npos);
  spec = deepseek_v3();
  spec.latent.value_dim = 0;
  EXPECT_NE(countable(spec).value().find("latent_value_dim"), std::string::npos);
}

}  // namespace
}  // namespace longhaul::model
