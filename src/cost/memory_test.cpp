#include "cost/memory.h"

#include <gtest/gtest.h>

#include "cost/formulas.h"
#include "cost/step.h"
#include "cost/test_formulas.h"
#include "units/units.h"

namespace longhaul::cost {
namespace {

/// Rows of the Ultra-Scale Playbook's sweep: 1B and 8B models on H100, sequences of 4,096, 256 of them a step.
RunShape nanotron(std::int64_t layers, std::int64_t width, std::int64_t ffn, int dp, int tp, int pp, int zero) {
  RunShape run;
  run.framework = "nanotron", run.accelerator = "h100";
  run.model.layers = layers, run.model.width = width, run.model.ffn_width = ffn, run.model.vocab = 131072;
  run.model.heads = run.model.kv_heads = 32, run.model.head_dim = width / 32;
  run.model.mlp = model::MlpKind::swiglu;
  run.layout.dp = dp, run.layout.tp = tp, run.layout.pp = pp, run.layout.zero = zero;
  run.layout.sequence_parallel = tp > 1;
  run.sequence_length = 4096, run.global_batch = 256;
  run.devices = dp * tp * pp;
  return run;
}
RunShape nanotron_8b(int dp, int tp, int pp, int zero) { return nanotron(32, 4096, 14336, dp, tp, pp, zero); }

/// SimuMax's measurement on B200: Llama 3 405B cut to 4 layers.
RunShape megatron() {
  RunShape run;
  run.framework = "megatron-lm", run.accelerator = "b200";
  run.model.layers = 4, run.model.width = 16384, run.model.ffn_width = 53248, run.model.vocab = 128256;
  run.model.heads = 128, run.model.kv_heads = 16, run.model.head_dim = 128;
  run.model.mlp = model::MlpKind::swiglu;
  run.layout.dp = 4, run.layout.tp = 2, run.layout.zero = 1, run.layout.sequence_parallel = true;
  run.sequence_length = 4096, run.global_batch = 128, run.devices = 8;
  return run;
}

/// BLOOM's prequel sweep: 184B candidate on 384 A100.
RunShape bloom() {
  RunShape run;
  run.framework = "megatron-deepspeed", run.accelerator = "a100", run.network = "OmniPath";
  run.model.layers = 100, run.model.width = 12288, run.model.ffn_width = 49152, run.model.vocab = 250880;
  run.model.heads = run.model.kv_heads = 64, run.model.head_dim = 192;
  run.model.mlp = model::MlpKind::gelu, run.model.norm = model::NormKind::layer_norm, run.model.position = model::PositionKind::alibi;
  run.model.norm_bias = run.model.qkv_bias = run.model.output_bias = run.model.mlp_bias = run.model.tied_embeddings = true;
  run.layout.dp = 8, run.layout.tp = 8, run.layout.pp = 6, run.layout.zero = 1, run.layout.recompute = program::Recompute::layer;
  run.flash_attention = false;
  run.sequence_length = 2048, run.global_batch = 2048, run.micro_batch = 4, run.devices = 384;
  return run;
}

class StagePeak : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { calibration_ = shipped_calibration(); }
  static double reported(const RunShape& run, const Pace& pace = {}) { return estimate_memory(run, calibration_, pace).reported() / kGiB; }
  static StageMemory stage(const RunShape& run, int rank, const Pace& pace = {}) {
    return estimate_memory(run, calibration_, pace).stages[static_cast<std::size_t>(rank)];
  }
  static inline Calibration calibration_;
};

// Measured: 51.5, 9.5 (launches set the pace there), 81.59 and 72 GiB.
TEST_F(StagePeak, IsNearTheMeasured) {
  EXPECT_NEAR(reported(nanotron_8b(4, 4, 1, 0)), 51.5, 1.0);
  EXPECT_NEAR(reported(nanotron_8b(8, 8, 2, 1), {.launch_ratio = 0.11}), 9.5, 0.5);
  EXPECT_NEAR(reported(megatron()), 81.59, 0.8);
  EXPECT_NEAR(reported(bloom()), 72, 4.0);
}

TEST_F(StagePeak, LinesAddUpToThePeakOfTheFullestStage) {
  const MemoryEstimate memory = estimate_memory(bloom(), calibration_, {});
  ASSERT_EQ(memory.stages.size(), 6U);
  for (const StageMemory& s : memory.stages) {
    EXPECT_LE(s.total(), memory.peak());
    EXPECT_NEAR(s.total(),
                s.weights + s.gradients + s.optimizer + s.activations + s.gathered + s.logits + s.workspace + s.framework + s.fragmentation,
                1);
  }
}

// Korthikanti et al. 2022 eq. 2 and table 2: 34h + 5as a token, 10h + (24h + 5as) ÷ t, (34h + 5as) ÷ t.
TEST(KeptActivations, AreKorthikantis) {
  RunShape run = bloom();
  const double s = static_cast<double>(run.sequence_length);
  const LayerShape layer{s, 1, 12288, 64};
  for (const bool sequence_parallel : {false, true}) {
    run.layout.sequence_parallel = sequence_parallel;
    const LayerActivations kept = kept_activations(run);
    const auto which = sequence_parallel ? ActivationCase::tensor_sequence : ActivationCase::tensor;
    EXPECT_NEAR(s * (kept.hidden + kept.ffn + kept.scores), korthikanti_bytes(which, layer, 8), 1);
  }
}

// Two key/value heads on eight ranks: each rank has one whole, a quarter of the heads of the queries.
TEST(KeptActivations, HaveAWholeKeyValueHeadOnEveryRank) {
  RunShape run = megatron();
  run.model.kv_heads = 2, run.layout.tp = 8;
  const double norms = 8 * 16384.0 / 8, queries = 4 * 128 * 128.0 / 8, keys = 4 * 128.0;
  EXPECT_DOUBLE_EQ(kept_activations(run).hidden, norms + queries + keys);
}

TEST_F(StagePeak, OfStatesFollowsZero) {
  RunShape run = megatron();
  run.layout.tp = 1, run.devices = 4;
  const double parameters = stage_parameters(run, split_stages(run).front());
  run.framework = "never seen";
  for (const int zero : {0, 1, 2, 3}) {
    run.layout.zero = zero;
    const StageMemory s = stage(run, 0);
    EXPECT_NEAR(s.weights, parameters * 2 / (zero == 3 ? 4 : 1), 1) << zero;
    EXPECT_NEAR(s.gradients, parameters * 4 / (zero >= 2 ? 4 : 1), 1) << zero;
    EXPECT_NEAR(s.optimizer, parameters * 12 / (zero >= 1 ? 4 : 1), 1) << zero;
  }
}

TEST_F(StagePeak, HoldsTheMicroBatchesInFlight) {
  RunShape run = nanotron_8b(1, 2, 4, 0);
  EXPECT_EQ(stage(run, 0).in_flight, 4);
  EXPECT_EQ(stage(run, 3).in_flight, 1);
  run.layout.schedule = program::ScheduleKind::gpipe;
  EXPECT_EQ(stage(run, 3).in_flight, run.micro_batches());
  run.layout.schedule = program::ScheduleKind::interleaved, run.layout.chunks = 2;
  run.framework = "megatron-lm";
  // Accounting B6: (1 + (p − 1) ÷ (p·v)) of 1F1B's p micro-batches, two chunks each.
  EXPECT_NEAR(stage(run, 0).in_flight, 2 * 4 * interleaved_activation_factor(4, 2), 1e-9);
}

TEST_F(StagePeak, KeepsGatheredInputsOnlyWhileTheHostRunsAhead) {
  const RunShape run = nanotron_8b(4, 8, 4, 1);
  const double ahead = stage(run, 0, {.launch_ratio = 10}).gathered, behind = stage(run, 0, {.launch_ratio = 0.1}).gathered;
  const double stalled = stage(run, 0, {.launch_ratio = 10, .stalled = true}).gathered;
  EXPECT_GT(ahead, 1.5 * behind);  // 4 micro-batches, or the 2 of the warm-up
  EXPECT_GT(behind, stalled);
  EXPECT_GT(stalled, 0);  // what is under way in a collective
  EXPECT_EQ(stage(nanotron_8b(4, 1, 4, 1), 0).gathered, 0);
}

TEST_F(StagePeak, OfARecomputedLayerIsItsInputAndOneLayerAgain) {
  RunShape run = megatron();
  const double all = stage(run, 0).activations;
  run.layout.recompute = program::Recompute::layer;
  const double again = stage(run, 0).activations;
  EXPECT_NEAR(again, all / 4 + 4 * 4096.0 * 2 * 16384 / 2, 1);
}

TEST_F(StagePeak, OfUnknownSoftwareIsPhysical) {
  RunShape run = megatron();
  run.framework = "never seen";
  EXPECT_NEAR(reported(run), 81.59, 0.12 * 81.59);
}

class Verdict : public StagePeak {
 protected:
  static FitVerdict judge(const RunShape& run) { return judge_fit(run, calibration_, 80e9); }
};

TEST_F(Verdict, ComparesTheFullestRankWithTheDevice) {
  const FitVerdict small = judge(nanotron_8b(8, 8, 2, 1));
  EXPECT_TRUE(small.fits);
  EXPECT_NEAR(small.available, calibration_("fit.usable_share", parameter_key(nanotron_8b(8, 8, 2, 1))) * 80e9, 1);
  RunShape run = nanotron(80, 8192, 28672, 4, 4, 1, 0);
  run.global_batch = 256;
  const FitVerdict large = judge(run);
  EXPECT_FALSE(large.fits);
  EXPECT_GT(large.needed, large.available);
  EXPECT_NE(large.reason.find("stage 0: optimizer"), std::string::npos) << large.reason;
}

TEST_F(Verdict, KnowsNanotronsRules) {
  const RunShape few = nanotron(16, 2048, 8192, 128, 1, 4, 1);  // 2 micro-batches for 4 stages
  EXPECT_NE(judge(few).reason.find("at least pp − 1 = 3 micro-batches"), std::string::npos) << judge(few).reason;
  const RunShape hollow = nanotron(16, 2048, 8192, 1, 1, 16, 1);
  EXPECT_NE(judge(hollow).reason.find("stage 15 of 16 holds nothing"), std::string::npos) << judge(hollow).reason;
  RunShape lonely = nanotron(16, 2048, 8192, 2, 1, 14, 0);
  const std::vector<StageContent> stages = split_stages(lonely);
  ASSERT_FALSE(stages.back().empty() || stages.back().has_parameters());
  EXPECT_NE(judge(lonely).reason.find("holds no parameters"), std::string::npos) << judge(lonely).reason;
  lonely.layout.zero = 1;
  EXPECT_TRUE(judge(lonely).fits) << judge(lonely).reason;
}

}  // namespace
}  // namespace longhaul::cost
