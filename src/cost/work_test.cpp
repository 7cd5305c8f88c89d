#include "cost/work.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "cost/gemm_shape.h"
#include "model/flops.h"

namespace longhaul::cost {
namespace {

/// GPT-3 175B under Megatron-LM: h 12,288, 96 heads, tp 8, a sequence of 2,048 at a time.
RunShape gpt3() {
  RunShape run;
  run.model = model::with_usual_values({.layers = 96, .width = 12288, .heads = 96, .vocab = 51200});
  run.model.mlp = model::MlpKind::gelu;
  run.layout.tp = 8;
  run.sequence_length = 2048;
  run.global_batch = run.micro_batch = 1;
  run.framework = "megatron-lm";
  run.accelerator = "a100";
  run.flash_attention = false;
  return run;
}
/// Llama 3 8B: grouped heads, gated MLP, flash attention.
RunShape llama_shape() {
  RunShape run;
  run.model = model::with_usual_values(
      {.layers = 32, .width = 4096, .heads = 32, .kv_heads = 8, .ffn_width = 14336, .vocab = 128256, .mlp = model::MlpKind::swiglu});
  run.sequence_length = 8192;
  run.global_batch = run.micro_batch = 1;
  run.framework = "torchtitan";
  run.accelerator = "h100";
  return run;
}

double sum(const std::vector<WorkItem>& items, WorkKind kind, const auto& count) {
  double total = 0;
  for (const WorkItem& item : items)
    if (item.kind == kind) total += count(item);
  return total;
}
double flops(const std::vector<WorkItem>& items, WorkKind kind) {
  return sum(items, kind, [](const WorkItem& item) { return item.flops(); });
}
const WorkItem& find(const std::vector<WorkItem>& items, std::string_view name, WorkKind kind, WorkPass pass) {
  return *std::find_if(items.begin(), items.end(),
                       [&](const WorkItem& item) { return item.name == name && item.kind == kind && item.pass == pass; });
}

TEST(LayerWork, HasTheShapesOfOneRank) {
  const auto items = layer_work(gpt3());
  const WorkItem& qkv = find(items, "qkv", WorkKind::gemm, WorkPass::forward);
  EXPECT_EQ(qkv.m, 2048);
  EXPECT_EQ(qkv.n, 3 * 12288 / 8);
  EXPECT_EQ(qkv.k, 12288);
  const WorkItem& down = find(items, "down", WorkKind::gemm, WorkPass::weight_gradient);
  EXPECT_EQ(down.m, 12288);
  EXPECT_EQ(down.n, 4 * 12288 / 8);
  EXPECT_EQ(down.k, 2048);
  const WorkItem& scores = find(items, "attn", WorkKind::attention, WorkPass::forward);
  EXPECT_EQ(scores.m, 2048);
  EXPECT_EQ(scores.n, 2048);
  EXPECT_EQ(scores.k, 128);
  EXPECT_EQ(scores.batch, 12);
}

// Eight key/value heads on sixteen ranks: each rank multiplies by one whole, and passes it round the ring.
TEST(LayerWork, HasAKeyValueHeadOnEveryRank) {
  RunShape run = llama_shape();
  run.layout.tp = 16, run.layout.cp = 2;
  const auto items = layer_work(run);
  EXPECT_EQ(find(items, "qkv", WorkKind::gemm, WorkPass::forward).n, 32 * 128 / 16 + 2 * 128);
  EXPECT_EQ(find(items, "attn.ring", WorkKind::collective, WorkPass::forward).bytes, 2 * 2 * 8192.0 * 128);
}

// Accounting D1: 6 · parameters · tokens of matrix products, 12 · s · h a token of attention, all passes together.
// Accounting C2: a 4,096 × 16,384 matrix over tp = 4 is 4,096 × 4,096 on each rank, split by columns, then by rows.
TEST(LayerWork, TensorParallelShards) {
  RunShape run = gpt3();
  run.model = model::with_usual_values({.layers = 2, .width = 4096, .heads = 32, .vocab = 51200});
  run.model.mlp = model::MlpKind::gelu;
  run.layout.tp = 4;
  const auto items = layer_work(run);
  for (const char* name : {"up", "down"}) {
    const WorkItem& shard = find(items, name, WorkKind::gemm, WorkPass::forward);
    EXPECT_EQ(shard.k, 4096) << name;
    EXPECT_EQ(shard.n, 4096) << name;
  }
}

TEST(LayerWork, AddsUpToTheFlopsOfTheModel) {
  for (const int tp : {1, 2, 8}) {
    RunShape run = gpt3();
    run.layout.tp = tp;
    const double h = 12288, tokens_of_step = 2048;
    EXPECT_DOUBLE_EQ(tp * flops(layer_work(run), WorkKind::gemm), 6 * 12 * h * h * tokens_of_step);
    // Prices double the backward pass of attention: here each pass counts its forward products.
    EXPECT_DOUBLE_EQ(tp * flops(layer_work(run), WorkKind::attention), 2 * 4 * 2048 * h * tokens_of_step);
  }
  const RunShape run = llama_shape();
  const double h = 4096, parameters = h * h * (2 + 2.0 / 4) + 3 * h * 14336;
  EXPECT_DOUBLE_EQ(flops(layer_work(run), WorkKind::gemm), 6 * parameters * 8192);
  EXPECT_DOUBLE_EQ(flops(head_work(run), WorkKind::gemm), 6 * h * 128256 * 8192);
}

TEST(LayerWork, FlashAttentionSeesHalfTheSequenceAndItsDiagonal) {
  RunShape run = llama_shape();
  EXPECT_EQ(find(layer_work(run), "attn", WorkKind::attention, WorkPass::forward).n, 8192 / 2 + 128);
  run.sequence_length = 128;  // a short one is all diagonal
  EXPECT_EQ(find(layer_work(run), "attn", WorkKind::attention, WorkPass::forward).n, 128);
}

// Shoeybi et al. 2019 §3: two all-reduces of tokens · hidden each way; Korthikanti et al. 2022 §4.2.2: as many bytes in halves.
TEST(LayerWork, TensorParallelTrafficIsFourAllReduces) {
  RunShape run = gpt3();
  const double boundary = 2.0 * 2048 * 12288;
  const auto halves = [](const WorkItem& item) {
    return item.pass == WorkPass::weight_gradient ? 0 : (item.collective == CollectiveKind::all_reduce ? 2 : 1) * item.bytes;
  };
  EXPECT_DOUBLE_EQ(sum(layer_work(run), WorkKind::collective, halves), 8 * boundary);
  run.layout.sequence_parallel = true;
  EXPECT_DOUBLE_EQ(sum(layer_work(run), WorkKind::collective, halves), 8 * boundary);
  const auto again = [](const WorkItem& item) { return item.pass == WorkPass::weight_gradient ? item.bytes : 0; };
  EXPECT_DOUBLE_EQ(sum(layer_work(run), WorkKind::collective, again), 2 * boundary);
  run.layout.tp = 1;
  EXPECT_EQ(sum(layer_work(run), WorkKind::collective, halves), 0);
}

TEST(LayerWork, ContextParallelRanksShareTokensAndPassKeysOn) {
  RunShape run = llama_shape();
  const auto alone = layer_work(run);
  run.layout.cp = 4;
  const auto shared = layer_work(run);
  EXPECT_DOUBLE_EQ(4 * flops(shared, WorkKind::gemm), flops(alone, WorkKind::gemm));
  EXPECT_DOUBLE_EQ(4 * flops(shared, WorkKind::attention), flops(alone, WorkKind::attention));
  EXPECT_EQ(find(shared, "attn.ring", WorkKind::collective, WorkPass::forward).bytes, 2 * 2 * 8192.0 * 1024);
}

TEST(LayerWork, OfExpertsCountsTheTokensSentToThem) {
  RunShape run = llama_shape();
  run.model.experts = {.count = 8, .top_k = 2, .width = 1024};
  for (const int ep : {1, 4}) {
    run.layout.ep = ep;
    const auto items = layer_work(run, true);
    double experts = 0;
    for (const WorkItem& item : items)
      if (item.name.starts_with("expert.")) experts += item.flops();
    EXPECT_DOUBLE_EQ(experts, 6 * 2 * 8192.0 * 3 * 4096 * 1024) << ep;
    const auto sent = [](const WorkItem& item) { return item.group == Group::expert ? item.bytes : 0; };
    EXPECT_DOUBLE_EQ(sum(items, WorkKind::collective, sent), ep == 1 ? 0 : 4 * 2 * 2 * 8192.0 * 4096) << ep;
  }
}

// A gated activation reads two and writes one, 16 bits each, forward; backward a gradient beside each: 8 and 16 bytes for every hidden
// unit of the experts that a token visits, two routed and one shared, however the experts are divided.
TEST(LayerWork, OfExpertsMovesTheHiddenUnitsThatATokenVisits) {
  RunShape run = llama_shape();
  run.model.experts = {.count = 8, .top_k = 2, .width = 1024, .shared = 1};
  const auto of_layer = [&] {
    return sum(layer_work(run, true), WorkKind::bytes, [](const WorkItem& item) { return item.name == "layer" ? item.bytes : 0; });
  };
  const double experts = of_layer();
  run.model.experts.width = 2048;
  EXPECT_DOUBLE_EQ(of_layer() - experts, (8 + 16) * 8192.0 * 3 * 1024);
  run.model.ffn_width *= 2;  // of the dense layers
  EXPECT_DOUBLE_EQ(of_layer() - experts, (8 + 16) * 8192.0 * 3 * 1024);
}

TEST(Vocabulary, IsPaddedByMegatronAlone) {
  RunShape run = gpt3();
  run.model.vocab = 50257;
  EXPECT_EQ(padded_vocab(run), 51200);
  run.layout.tp = 1;
  EXPECT_EQ(padded_vocab(run), 50257);
  run = llama_shape();
  run.layout.tp = 8;
  EXPECT_EQ(padded_vocab(run), 128256);
}

TEST(Softmax, IsFusedForMultiplesOfFourRows) {
  RunShape run = gpt3();  // 12 heads a rank
  EXPECT_TRUE(fused_softmax(run));
  run.model.heads = 80;
  EXPECT_FALSE(fused_softmax(run));  // 10
  run.micro_batch = 2;
  EXPECT_TRUE(fused_softmax(run));
}

// An A100 has 108 multiprocessors.
TEST(TileWaste, CountsWavesAndEdges) {
  // 12 × 18 tiles of 256 × 128 are two full waves.
  EXPECT_DOUBLE_EQ(tile_waste(12 * 256, 18 * 128, 512, 108), 1);
  // One tile of 108 busy: tiles of 64 × 64 and k in four parts fill 32 units; what the smaller tile loses counts too.
  EXPECT_NEAR(tile_waste(256, 128, 8192, 108), 108.0 / 32 / 0.6 / 0.94, 1e-12);
  // A tile's edge: one row more takes a row of tiles more.
  EXPECT_GT(tile_waste(12 * 256 + 1, 18 * 128, 512, 108), 1.2);
  for (const double m : {64.0, 1000.0, 4096.0, 50000.0})
    for (const double n : {64.0, 768.0, 12288.0}) EXPECT_GE(tile_waste(m, n, 4096, 132), 1 - 1e-12) << m << ' ' << n;
}

}  // namespace
}  // namespace longhaul::cost
