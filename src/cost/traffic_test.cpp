// Accounting C5, C9 by hand: bytes that one rank sends in a step.
#include "cost/traffic.h"

#include <gtest/gtest.h>

#include "cost/formulas.h"
#include "cost/stages.h"
#include "cost/test_formulas.h"

namespace longhaul::cost {
namespace {

constexpr double kTokens = 2048, kWidth = 4096, kBoundary = 2 * kTokens * kWidth;

RunShape small_on(const char* layout) {
  RunShape run;
  run.model = model::with_usual_values(
      {.layers = 8, .width = 4096, .heads = 32, .kv_heads = 8, .ffn_width = 14336, .vocab = 32768, .mlp = model::MlpKind::swiglu});
  run.layout = program::parse_layout(layout);
  run.sequence_length = 2048, run.global_batch = 32, run.micro_batch = 1;
  run.framework = "megatron-lm", run.accelerator = "h100";
  run.devices = run.layout.world();
  return run;
}

TEST(Traffic, OneDeviceSendsNothing) { EXPECT_EQ(step_traffic(small_on("dp=1")).total(), 0); }

// Shoeybi et al. 2019 §3: two all-reduces forward, two backward in each layer; one of the embedding forward, one of the head backward.
TEST(Traffic, TensorParallelismAddsFourAllReducesALayer) {
  const double all_reduces = 8 * 4 + 2;
  EXPECT_DOUBLE_EQ(step_traffic(small_on("dp=4,tp=8")).tensor, 8 * all_reduces * 2 * 7.0 / 8 * kBoundary);
}
// The halves carry what the whole did; weight gradients gather the input again, once for each of two matrices of a layer and the head. The
// head gathers its input and scatters its gradient; the embedding scatters.
TEST(Traffic, SequenceParallelismCutsThemInHalves) {
  const double halves = 8 * (8 + 2) + 1 + 3;
  EXPECT_DOUBLE_EQ(step_traffic(small_on("dp=4,tp=8,sp=1")).tensor, 8 * halves * 7.0 / 8 * kBoundary);
}

TEST(Traffic, AMiddleStageSendsBothWays) {
  EXPECT_DOUBLE_EQ(step_traffic(small_on("dp=2,pp=4")).pipeline, 16 * 2 * kBoundary);
  EXPECT_DOUBLE_EQ(step_traffic(small_on("dp=2,pp=2")).pipeline, 16 * kBoundary);
  // Interleaving multiplies it by the chunks; tensor-parallel ranks send a part each (Narayanan et al. 2021 §4.1).
  EXPECT_DOUBLE_EQ(step_traffic(small_on("dp=2,pp=4,virtual=2")).pipeline, 2 * 16 * 2 * kBoundary);
  EXPECT_DOUBLE_EQ(step_traffic(small_on("dp=2,pp=4,tp=4")).pipeline, 16 * 2 * kBoundary / 4);
}

// Rajbhandari et al. 2020 §7: stages 0 to 2 move twice the parameters, stage 3 half as much again; with fp32 gradients and 16-bit weights.
TEST(Traffic, ZeroStages) {
  const RunShape plain = small_on("dp=16");
  const double parameters = stage_parameters(plain, split_stages(plain).front()), share = 15.0 / 16;
  EXPECT_DOUBLE_EQ(step_traffic(plain).data, 2 * share * 4 * parameters);
  EXPECT_DOUBLE_EQ(step_traffic(small_on("dp=16,zero=1")).data, share * (4 + 2) * parameters);
  EXPECT_DOUBLE_EQ(step_traffic(small_on("dp=16,zero=2")).data, share * (4 + 2) * parameters);
  // Twice a step, once for each micro-batch.
  EXPECT_DOUBLE_EQ(step_traffic(small_on("dp=16,zero=3")).data, 2 * share * (4 + 2 * 2) * parameters);
  // HSDP: pieces are added up between the copies.
  EXPECT_DOUBLE_EQ(step_traffic(small_on("dp=16,zero=1,shard=4")).data, 0.75 * 6 * parameters + 2 * 0.75 * 4 * parameters / 4);
}

// Ring attention: keys and values forward; they and their gradients backward.
TEST(Traffic, ContextParallelism) {
  const double keys_values = 2 * 2 * 2048.0 * 8 * 128;
  EXPECT_DOUBLE_EQ(step_traffic(small_on("dp=4,cp=4")).context, 8 * 8 * 3 * 0.75 * keys_values);
}

// Dispatch and combine, each way, once for each of top_k experts.
TEST(Traffic, ExpertParallelism) {
  RunShape run = small_on("dp=8,ep=4");
  run.model.experts = {.count = 8, .top_k = 2, .width = 14336};
  EXPECT_DOUBLE_EQ(step_traffic(run).expert, 4 * 8 * 4 * 0.75 * 2 * kTokens * kWidth * 2);
}

// An expert's gradient goes to the ranks that hold the same expert: with eight ranks and ep=8 to none.
TEST(Traffic, OfExpertsGradientsIsAmongTheirCopies) {
  const auto data = [](const char* layout) {
    RunShape run = small_on(layout);
    run.model.experts = {.count = 8, .top_k = 2, .width = 14336};
    return step_traffic(run).data;
  };
  RunShape run = small_on("dp=1");
  run.model.experts = {.count = 8, .top_k = 2, .width = 14336};
  const HeldParameters all = StageParameters(run).of(split_stages(run).front());
  EXPECT_DOUBLE_EQ(data("dp=8,ep=8"), 2 * 7.0 / 8 * 4 * all.dense);
  EXPECT_DOUBLE_EQ(data("dp=8,ep=8,zero=1"), 7.0 / 8 * 6 * all.dense);
  EXPECT_DOUBLE_EQ(data("dp=8,ep=2"), 2 * 7.0 / 8 * 4 * all.dense + 2 * 3.0 / 4 * 4 * all.experts / 2);
  EXPECT_DOUBLE_EQ(data("dp=8,ep=2,zero=1"), 7.0 / 8 * 6 * all.dense + 3.0 / 4 * 6 * all.experts / 2);
  EXPECT_DOUBLE_EQ(data("dp=8"), 2 * 7.0 / 8 * 4 * all.total());
}

// C5: an all-reduce sends what a reduce-scatter and an all-gather send.
TEST(Traffic, RingBytes) {
  EXPECT_EQ(ring_bytes(1024, 1), 0);
  EXPECT_EQ(ring_bytes(1024, 4), 768);
  const Link link{0, 1e9};
  EXPECT_DOUBLE_EQ(all_reduce_ring(Bytes(1'000'000'000), 8, link).value, 2 * ring_bytes(1e9, 8) / link.bandwidth);
}

}  // namespace
}  // namespace longhaul::cost
