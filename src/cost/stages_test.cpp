#include "cost/stages.h"

#include <gtest/gtest.h>

#include <ostream>

#include "model/flops.h"
#include "model/param_table.h"
#include "program/holdings.h"

namespace longhaul::cost {
namespace {

model::ModelSpec llama_of(std::int64_t layers, std::int64_t width, std::int64_t ffn, std::int64_t vocab) {
  model::ModelSpec spec;
  spec.layers = layers, spec.width = width, spec.ffn_width = ffn, spec.vocab = vocab;
  spec.heads = spec.kv_heads = 32, spec.head_dim = width / 32;
  spec.mlp = model::MlpKind::swiglu;
  return spec;
}

RunShape shape(const char* framework, model::ModelSpec model, int pp) {
  RunShape run;
  run.framework = framework;
  run.model = std::move(model);
  run.layout.pp = pp;
  return run;
}

TEST(Stages, AreEvenAndTheLongerOnesComeFirst) {
  const RunShape run = shape("torchtitan", llama_of(10, 1024, 4096, 32000), 4);
  EXPECT_EQ(layers_of_stages(run), (std::vector<int>{3, 3, 2, 2}));
  const std::vector<StageContent> stages = split_stages(run);
  EXPECT_EQ(stages.front(), (StageContent{.layers = 3, .embedding = true}));
  EXPECT_EQ(stages.back(), (StageContent{.layers = 2, .norm = true, .head = true, .loss = true}));
}

// BLOOM-176B: 70 layers over 12 stages, embedding and head in place of a layer each (BigScience's chronicles; Le Scao et al. 2022 §3.3).
TEST(Stages, CountEmbeddingAndHeadAsLayersWhereThatDivides) {
  EXPECT_EQ(layers_of_stages(shape("megatron-deepspeed", llama_of(70, 1024, 4096, 32000), 12)),
            (std::vector<int>{5, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 5}));
  EXPECT_EQ(layers_of_stages(shape("megatron-deepspeed", llama_of(72, 1024, 4096, 32000), 12)), std::vector<int>(12, 6));
}

// Llama 3 405B: 126 layers, 16 ranks of 8 chunks; the first holds the embedding alone, the last the head (arXiv 2407.21783 §3.3.2).
TEST(Stages, OfMegatronMayHoldAnEndAlone) {
  RunShape run = shape("megatron-lm", llama_of(126, 16384, 53248, 128256), 16);
  run.layout.chunks = 8;
  const std::vector<StageContent> stages = split_stages(run);
  ASSERT_EQ(stages.size(), 128U);
  EXPECT_EQ(stages.front(), (StageContent{.layers = 0, .embedding = true}));
  EXPECT_EQ(stages[1], (StageContent{.layers = 1}));
  EXPECT_EQ(stages.back(), (StageContent{.layers = 0, .norm = true, .head = true, .loss = true}));
  EXPECT_EQ(rank_content(run, stages, 0).layers, 7);
}

TEST(Stages, FollowCostUnderNanotron) {
  const RunShape one_billion = shape("nanotron", llama_of(16, 2048, 8192, 131072), 4);
  EXPECT_EQ(layers_of_stages(one_billion), (std::vector<int>{6, 5, 5, 0}));
  EXPECT_EQ(split_stages(one_billion).back(), (StageContent{.norm = true, .head = true, .loss = true}));
  EXPECT_EQ(layers_of_stages(shape("nanotron", llama_of(80, 8192, 28672, 131072), 8)), (std::vector<int>{11, 10, 10, 10, 10, 10, 10, 9}));
}

TEST(Stages, OfManyNanotronRanksHoldTheLossAloneOrNothing) {
  const std::vector<StageContent> stages = split_stages(shape("nanotron", llama_of(16, 2048, 8192, 131072), 16));
  EXPECT_TRUE(stages[12].has_parameters() && stages[12].layers == 0);
  EXPECT_EQ(stages[13], (StageContent{.loss = true}));  // the cast
  EXPECT_EQ(stages[14], (StageContent{.loss = true}));
  EXPECT_FALSE(stages[13].has_parameters());
  EXPECT_TRUE(stages[15].empty());
}

TEST(Stages, GivenInTheLayoutAreTaken) {
  RunShape run = shape("nanotron", llama_of(16, 2048, 8192, 131072), 2);
  run.layout.stage_layers = {3, 13};
  EXPECT_EQ(layers_of_stages(run), run.layout.stage_layers);
}

TEST(Stages, OfARankAreItsChunks) {
  RunShape run = shape("megatron-lm", llama_of(10, 1024, 4096, 32000), 2);
  run.layout.chunks = 2;
  const std::vector<StageContent> stages = split_stages(run);  // 3 3 2 2
  EXPECT_EQ(rank_content(run, stages, 0), (StageContent{.layers = 5, .embedding = true}));
  EXPECT_EQ(rank_content(run, stages, 1).layers, 5);
}

TEST(StageParameters, OfAllStagesAreTheModels) {
  for (const bool tied : {false, true}) {
    RunShape run = shape("megatron-lm", llama_of(10, 1024, 4096, 32000), 1);
    run.model.tied_embeddings = tied;
    const double total = static_cast<double>(model::count_params(run.model).total.value);
    EXPECT_DOUBLE_EQ(stage_parameters(run, split_stages(run).front()), total);
    run.layout.pp = 4;
    double sum = 0;
    for (const StageContent& stage : split_stages(run)) sum += stage_parameters(run, stage);
    EXPECT_DOUBLE_EQ(sum, total + (tied ? 32000.0 * 1024 : 0));  // a tied head on another stage is a copy
  }
}

TEST(StageParameters, AreSharedByTensorParallelRanksButForNorms) {
  RunShape run = shape("megatron-lm", llama_of(10, 1024, 4096, 32000), 1);
  const double whole = StageParameters(run).layer().total(), norms = 2 * 1024;
  run.layout.tp = 8;
  EXPECT_DOUBLE_EQ(StageParameters(run).layer().total(), (whole - norms) / 8 + norms);
}

// Four key/value heads on eight ranks: keys and values are divided by four.
TEST(StageParameters, OfKeysAndValuesAreNoLessThanAHead) {
  RunShape run = shape("megatron-lm", llama_of(10, 1024, 4096, 32000), 1);
  run.model.kv_heads = 4, run.layout.tp = 8;
  const double h = 1024, head = 32;
  EXPECT_DOUBLE_EQ(StageParameters(run).layer().total(), (2 * h * h + 3 * h * 4096) / 8 + 2 * h * head + 2 * h);
}

TEST(StageParameters, OfExpertsAreDividedByExpertParallelism) {
  RunShape run = shape("megatron-lm", llama_of(4, 1024, 4096, 32000), 1);
  run.model.experts = {.count = 8, .top_k = 2, .width = 2048, .dense_layers = 1};
  run.layout.dp = 4, run.layout.ep = 4;
  const double expert = 3.0 * 1024 * 2048;
  EXPECT_DOUBLE_EQ(StageParameters(run).of({.layers = 4}).experts, 3 * 8 * expert / 4);  // three of four layers have them
}

// The planner counts a mean layer, the program every tensor of every rank: the same parameters, so that memory and traffic foreseen and
// allocated are of one thing. Sizes are multiples of 16, where the program's alignment leaves no gaps.
model::ModelSpec gpt() {
  model::ModelSpec spec = model::with_usual_values({.layers = 8, .width = 512, .heads = 16, .vocab = 1000});
  spec.mlp = model::MlpKind::gelu, spec.norm = model::NormKind::layer_norm, spec.position = model::PositionKind::learned;
  spec.norm_bias = spec.qkv_bias = spec.output_bias = spec.mlp_bias = spec.tied_embeddings = true, spec.position_rows = 256;
  return spec;
}
model::ModelSpec grouped() {
  model::ModelSpec spec = model::with_usual_values(
      {.layers = 8, .width = 512, .heads = 16, .kv_heads = 2, .ffn_width = 1536, .vocab = 1024, .mlp = model::MlpKind::swiglu});
  spec.qk_norm = spec.qkv_bias = true;
  return spec;
}
model::ModelSpec mixture() {
  model::ModelSpec spec = grouped();
  spec.experts = {.count = 8, .top_k = 2, .width = 256, .shared = 1};
  return spec;
}

struct Split {
  const char* name;
  model::ModelSpec model;
  const char* layout;
  friend void PrintTo(const Split& of, std::ostream* out) { *out << of.name; }
};
class AsTheProgram : public ::testing::TestWithParam<Split> {};
INSTANTIATE_TEST_SUITE_P(StageParameters, AsTheProgram,
                         ::testing::Values(Split{"dense", gpt(), "dp=2"}, Split{"tied ends apart", gpt(), "tp=8,pp=4,sp=1"},
                                           Split{"tied, uneven stages", gpt(), "tp=2,pp=2,stages=5+3"},
                                           Split{"grouped heads", grouped(), "dp=2,tp=2,pp=2"},
                                           Split{"more ranks than key/value heads", grouped(), "tp=8,pp=4,sp=1"},
                                           Split{"chunks", grouped(), "tp=4,pp=2,virtual=2"},
                                           Split{"mixture, sliced", mixture(), "dp=2,tp=4"},
                                           Split{"mixture, divided", mixture(), "dp=8,pp=2,ep=8"},
                                           Split{"mixture, divided over tp", mixture(), "dp=2,tp=4,pp=4,sp=1,ep=4"}));

TEST_P(AsTheProgram, EveryRankHolds) {
  RunShape run = shape("megatron-lm", GetParam().model, 1);
  run.layout = program::parse_layout(GetParam().layout);
  const model::ParamTable table(run.model);
  const StageParameters parameters(run);
  for (int rank = 0; rank < run.layout.pp; ++rank) {
    double dense = 0, experts = 0;
    for (const program::Bucket& bucket : program::Holdings(run.model, table, run.layout, rank).buckets)
      (bucket.experts ? experts : dense) += static_cast<double>(bucket.weights);
    const HeldParameters held = parameters.of(rank_content(run, split_stages(run), rank));
    EXPECT_DOUBLE_EQ(held.total(), dense + experts) << "pipeline rank " << rank;
    // Experts that tensor parallelism slices are exchanged with the rest.
    if (run.layout.ep > 1) {
      EXPECT_DOUBLE_EQ(held.experts, experts) << "pipeline rank " << rank;
    }
  }
}

// Leading dense layers: the planner's mean layer spreads them over the stages, which adds up to the same.
TEST(StageParameters, OfAllRanksAreTheProgramsWhereLayersDiffer) {
  RunShape run = shape("megatron-lm", mixture(), 4);
  run.model.experts.dense_layers = 1, run.layout.dp = 4, run.layout.ep = 4;
  const model::ParamTable table(run.model);
  double programs = 0, plans = 0;
  for (int rank = 0; rank < 4; ++rank) {
    for (const program::Bucket& bucket : program::Holdings(run.model, table, run.layout, rank).buckets)
      programs += static_cast<double>(bucket.weights);
    plans += stage_parameters(run, rank_content(run, split_stages(run), rank));
  }
  EXPECT_NEAR(plans, programs, 1e-9 * programs);
}

}  // namespace
}  // namespace longhaul::cost
