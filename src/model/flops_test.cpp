#include "model/flops.h"

#include <gtest/gtest.h>

#include <set>
#include <string_view>

#include "model/test_specs.h"

namespace longhaul::model {
namespace {

ModelSpec gpt_shape(std::int64_t layers, std::int64_t width, std::int64_t heads, std::int64_t vocab) {
  ModelSpec spec = gpt2_124m();
  spec.layers = layers, spec.width = width, spec.heads = heads, spec.vocab = vocab, spec.position_rows = 2048;
  spec.kv_heads = spec.head_dim = spec.ffn_width = 0;
  return with_usual_values(spec);
}

TEST(Counts, ClosedFormsOfTheFamilies) {
  EXPECT_EQ(count_params(gpt2_124m()).total.value, 124'439'808);
  EXPECT_EQ(count_params(llama_2_70b()).total.value, 68'976'648'192);
  EXPECT_EQ(count_params(qwen3_0_6b()).total.value, 596'049'920);
  EXPECT_EQ(count_params(deepseek_v3()).total.value, 671'026'419'200);
}

TEST(Counts, OnlyVisitedExpertsAreActive) {
  EXPECT_EQ(count_params(mixtral_8x7b()).total.value, 46'702'792'704);
  EXPECT_EQ(count_params(mixtral_8x7b()).active.value, 12'879'925'248);
  EXPECT_EQ(count_params(gpt2_124m()).active, count_params(gpt2_124m()).total);
  // 671 B total, 37 B active: the DeepSeek-V3 report's own rounding, which leaves out the embedding and the head (0.93 B each).
  EXPECT_NEAR(static_cast<double>(count_params(deepseek_v3()).active.value) / 1e9, 37.5, 0.1);
}

TEST(Counts, MatmulParametersHaveTheHeadOnceAndNoTables) {
  // GPT-2 124M: 12·L·h² in the layers and the tied head.
  EXPECT_EQ(count_params(gpt2_124m()).matmul.value, 12 * 12 * 768 * 768 + 50257 * 768);
  EXPECT_EQ(count_params(gpt2_124m()).embedding.value, (50257 + 1024) * 768);
  ModelSpec untied = gpt2_124m();
  untied.tied_embeddings = false;
  EXPECT_EQ(count_params(untied).matmul, count_params(gpt2_124m()).matmul) << "tied or not";
}

TEST(Flops, StandardIsSixNMatmulPlusWholeAttention) {
  EXPECT_EQ(flops_per_token(gpt2_124m(), 1024).value, 6.0 * 123'532'032 + 12.0 * 12 * 768 * 1024);
}

TEST(Flops, GoldenD1) {
  // 6ND of GPT-3 on 300 B tokens: 3.143e23 (accounting D1).
  const ModelSpec gpt3 = gpt_shape(96, 12288, 96, 50257);
  EXPECT_NEAR(flops_per_token(gpt3, 2048, Convention::six_n).value * 300e9 / 1e23, 3.143, 0.0005);
}

TEST(Flops, GoldenD2) {
  // 1.26e22 FLOP in 14 days on 512 × 312 TFLOP/s: MFU 0.0652; 60e15 of 160e15: 0.375 (accounting D2).
  EXPECT_NEAR(mfu(Flops(6 * 7e9), 300e9 / (14 * 86400.0), 512 * 312e12), 0.0652, 0.00005);
  EXPECT_DOUBLE_EQ(mfu(Flops(60e9), 1e6, 160e15), 0.375);
}

TEST(Flops, Korthikanti7IsTheStandardForItsOwnModels) {
  // For a tied GPT with ffn = 4h: 72·L·h²·(1 + s/6h + V/12hL) = 6·(12Lh² + Vh) + 12Lhs.
  const ModelSpec model_22b = gpt_shape(48, 6144, 64, 51200);
  const double standard = flops_per_token(model_22b, 2048).value;
  EXPECT_NEAR(flops_per_token(model_22b, 2048, Convention::korthikanti_eq7).value / standard, 1, 1e-12);
  // Equation 8 over equation 7 is about 1 + s/6h (the same paper, §5).
  const double ratio = flops_per_token(model_22b, 2048, Convention::korthikanti_eq8).value / standard;
  EXPECT_NEAR(ratio, 1 + 2048.0 / (6 * 6144), 0.005);
}

TEST(Flops, Sc21Equation3GivesBloomsPublishedRate) {
  // 104.70 s a step of 2048 × 2048 tokens on 384 GPUs: 149.77 TFLOP/s each (bigscience tr11, a rounded time).
  const ModelSpec bloom = gpt_shape(70, 14336, 112, 250880);
  const double rate = flops_per_token(bloom, 2048, Convention::sc21_eq3).value * 2048 * 2048 / (104.70 * 384) / 1e12;
  EXPECT_NEAR(rate, 149.77, 0.01);
}

TEST(Flops, ConventionsDifferAsTheirFormulasSay) {
  const ModelSpec spec = llama_2_70b();
  const std::int64_t s = 4096;
  const double attention = 12.0 * 80 * 8192 * 4096;
  const double table = 32000.0 * 8192;
  const double n = 68'976'648'192.0;
  const auto value = [&](Convention convention) { return flops_per_token(spec, s, convention).value; };
  EXPECT_EQ(value(Convention::six_n), 6 * n);
  EXPECT_EQ(value(Convention::palm), 6 * n + attention);
  EXPECT_EQ(value(Convention::llm_foundry), value(Convention::nanotron));
  EXPECT_EQ(value(Convention::torchtitan), 6 * (n - table) + attention);
  EXPECT_EQ(value(Convention::standard) - value(Convention::causal_halved), attention / 2);
  EXPECT_EQ(value(Convention::exact) - value(Convention::causal_halved), attention / 2 / 4096);
}

TEST(Flops, RecomputeIsTheLayersForwardAgain) {
  const ModelSpec spec = gpt2_124m();
  const double head = 50257.0 * 768;
  // A third of the attention's training work: 4·L·heads·head_dim·s.
  EXPECT_DOUBLE_EQ(recompute_attention_flops_per_token(spec, 1024).value * 3,
                   flops_per_token(spec, 1024).value - 6 * static_cast<double>(count_params(spec).matmul.value));
  EXPECT_DOUBLE_EQ(recompute_flops_per_token(spec, 1024).value * 3 + 6 * head, flops_per_token(spec, 1024).value);
}

TEST(Flops, EveryConventionHasItsOwnNameAndFormula) {
  std::set<std::string_view> names, formulas;
  for (Convention convention : all_conventions()) {
    names.insert(name(convention));
    formulas.insert(formula(convention));
    EXPECT_GT(flops_per_token(gpt2_124m(), 128, convention).value, 0) << name(convention);
  }
  EXPECT_EQ(names.size(), all_conventions().size());
  EXPECT_EQ(formulas.size(), all_conventions().size());
}

}  // namespace
}  // namespace longhaul::model
