#include "cost/step.h"

#include <gtest/gtest.h>

#include <cmath>

#include "cost/exchange.h"
#include "cost/framework.h"
#include "cost/layer_time.h"
#include "cost/memory.h"
#include "cost/stall.h"

namespace longhaul::cost {
namespace {

program::Layout parse(std::string_view text) { return program::parse_layout(text); }

const Calibration& shipped() {
  static const Calibration calibration = shipped_calibration();
  return calibration;
}

/// Sets every value of a parameter.
Calibration with(const std::string& name, double value) {
  Calibration out = shipped();
  for (auto& [key, parameter] : out.parameters)
    if (key.first == "time." + name) parameter.value = value;
  return out;
}

/// The 145.6 B parameters of Narayanan et al. 2021 table 1 on Selene: tp 8, pp 8, dp 24, full recomputation, 24.8 s a step.
RunShape gpt_146b() {
  RunShape run;
  run.model = model::with_usual_values({.layers = 80, .width = 12288, .heads = 96, .vocab = 51200});
  run.model.mlp = model::MlpKind::gelu;
  run.model.norm = model::NormKind::layer_norm;
  run.model.norm_bias = run.model.qkv_bias = run.model.output_bias = run.model.mlp_bias = true;
  run.model.position = model::PositionKind::learned;
  run.model.position_rows = 2048;
  run.model.tied_embeddings = true;
  run.layout = parse("dp=24,tp=8,pp=8,recompute=layer");
  run.sequence_length = 2048;
  run.global_batch = 2304, run.micro_batch = 2;
  run.precision = Precision::fp16;
  run.fp32_gradients = run.flash_attention = false;
  run.framework = "megatron-lm";
  run.accelerator = "a100";
  run.devices = 1536;
  return run;
}
/// A Llama on as many H100s as its layout has ranks, two sequences at a time.
RunShape on_h100(model::ModelSpec spec, const char* framework, const char* layout, std::int64_t sequence_length,
                 std::int64_t global_batch) {
  RunShape run;
  run.model = model::with_usual_values(std::move(spec));
  run.model.mlp = model::MlpKind::swiglu;
  run.layout = parse(layout);
  run.sequence_length = sequence_length;
  run.global_batch = global_batch, run.micro_batch = 2;
  run.framework = framework, run.accelerator = "h100";
  run.devices = run.layout.world();
  return run;
}
/// Llama 3.1 8B under torchtitan's compiled FSDP, 128 H100; its table: 16,384 tokens of a device in about 2.5 s.
RunShape llama() {
  return on_h100({.layers = 32, .width = 4096, .heads = 32, .kv_heads = 8, .ffn_width = 14336, .vocab = 128256}, "torchtitan+compile",
                 "dp=128,zero=3,recompute=selective", 8192, 256);
}
/// Llama 3.2 3B under nanotron on one node.
RunShape small() {
  return on_h100({.layers = 28, .width = 3072, .heads = 32, .ffn_width = 8192, .vocab = 131072}, "nanotron", "dp=8,zero=1", 4096, 64);
}

double parts(const StepEstimate& e) {
  double sum = 0;
  for (const auto& [name, part] : kStepParts) sum += e.*part;
  return sum;
}

TEST(Step, PredictsPublishedRuns) {
  EXPECT_NEAR(estimate_step(gpt_146b(), shipped()).seconds, 24.8, 0.05 * 24.8);
  EXPECT_NEAR(estimate_step(llama(), shipped()).seconds, 2.515, 0.05 * 2.515);
}

TEST(Step, PartsAddUpAndNoneIsNegative) {
  for (const RunShape& run : {gpt_146b(), llama(), small()}) {
    const StepEstimate e = estimate_step(run, shipped());
    EXPECT_NEAR(parts(e), e.seconds, 1e-9 * e.seconds) << run.framework;
    for (const double part : {e.compute, e.optimizer, e.other}) EXPECT_GT(part, 0) << run.framework;
    for (const double part : {e.tensor_parallel, e.pipeline_transfers, e.bubble, e.data_parallel}) EXPECT_GE(part, -1e-12) << run.framework;
    EXPECT_TRUE(e.calibrated) << run.framework;
    EXPECT_TRUE(e.warnings.empty()) << e.warnings.front();
  }
}

// Without a pipeline: micro-batches · (layers · (forward + backward) + ends), and what is paid once.
TEST(Step, OfOneStageIsASum) {
  const RunShape run = small();
  const StepEstimate e = estimate_step(run, shipped());
  const Prices prices(run, shipped());
  const StageParameters parameters(run);
  const double layers = 28 * (e.layer.forward + e.layer.backward);
  const double micro_batch = layers + e.embedding.forward + e.head.forward + e.head.backward;
  const HeldParameters all = parameters.of(split_stages(run).front());
  const double once = data_parallel_seconds(run, prices, all, micro_batch) + optimizer_seconds(run, prices, all);
  const TimeParameters& p = prices.parameters();
  EXPECT_NEAR(e.seconds, 4 * micro_batch + once + p("loop"), 1e-9);
  EXPECT_EQ(e.bubble, 0);
}

// By hand: one product of 4,096³ on an A100 of 312 TFLOP/s at efficiency ½, every other effect switched off, takes 2·4096³ ÷ 156e12 s.
TEST(Prices, OfAProductIsFlopsByRate) {
  Calibration calibration = with("gemm_efficiency", 0.5);
  for (const char* name : {"gemm_waste", "gemm_m", "gemm_n", "gemm_k", "gemm_misaligned"})
    for (auto& [key, parameter] : calibration.parameters)
      if (key.first == "time." + std::string(name)) parameter.value = 0;
  const WorkItem item{.kind = WorkKind::gemm, .pass = WorkPass::forward, .name = "up", .m = 4096, .n = 4096, .k = 4096};
  EXPECT_NEAR(Prices(gpt_146b(), calibration).of(item), 2 * std::pow(4096.0, 3) / 156e12, 1e-12);
}

// By hand: an all-reduce of 100 MB among 8 ranks of 300 GB/s at ½: 2 · 7/8 · 100e6 ÷ 150e9 s (accounting C4).
TEST(Prices, OfACollectiveIsTheRing) {
  Calibration calibration = with("tp_link_efficiency", 0.5);
  for (auto& [key, parameter] : calibration.parameters)
    if (key.first.starts_with("time.tp_latency")) parameter.value = 0;
  const WorkItem item{
      .kind = WorkKind::collective, .pass = WorkPass::forward, .name = "mlp", .bytes = 100e6, .collective = CollectiveKind::all_reduce};
  EXPECT_NEAR(Prices(gpt_146b(), calibration).of(item), 2 * 7.0 / 8 * 100e6 / 150e9, 1e-12);
}

TEST(Exchange, WithoutOverlapIsBytesByBandwidth) {
  RunShape run = small();
  run.layout.zero = 1;
  Calibration calibration = with("dp_link_efficiency", 0.5);
  for (const char* name : {"dp_latency", "dp_shard_latency"})
    for (auto& [key, parameter] : calibration.parameters)
      if (key.first == "time." + std::string(name)) parameter.value = 0;
  // fp32 gradients scattered, 16-bit weights gathered: 7/8 · 6 bytes a parameter at 225 GB/s.
  EXPECT_NEAR(data_parallel_seconds(run, Prices(run, calibration), {1e9, 0}, 1), 7.0 / 8 * 6e9 / 225e9, 1e-9);
}

/// Mixtral 8x7B (Jiang et al. 2024 table 1).
RunShape mixture(const char* layout) {
  model::ModelSpec spec{.layers = 32, .width = 4096, .heads = 32, .kv_heads = 8, .ffn_width = 14336, .vocab = 32000};
  spec.experts = {.count = 8, .top_k = 2, .width = 14336};
  return on_h100(spec, "megatron-lm", layout, 8192, 256);
}

// Each of eight ranks has an expert for itself: dense parameters are exchanged as if there were no experts.
TEST(Exchange, OfExpertsIsAmongTheirCopies) {
  for (const char* zero : {"0", "1", "3"}) {
    const RunShape run = mixture(("dp=8,ep=8,zero=" + std::string(zero)).c_str());
    const Prices prices(run, shipped());
    const auto seconds = [&](double dense, double experts) { return data_parallel_seconds(run, prices, {dense, experts}, 0); };
    EXPECT_EQ(seconds(1e9, 8e9), seconds(1e9, 0)) << "zero=" << zero;
  }
  // Two copies of each, eight ranks apart, on two nodes: half of 2 · reduce_bytes a parameter crosses, each way.
  const RunShape run = mixture("dp=16,ep=8");
  const Prices prices(run, shipped());
  const TimeParameters& p = prices.parameters();
  EXPECT_NEAR(data_parallel_seconds(run, prices, {0, 8e9}, 0),
              p("reduce_bytes") * 8e9 / prices.exchange_bandwidth(2, 8) + p("dp_latency") * (std::log2(16) + std::log2(2)), 1e-9);
  // Experts that tensor parallelism slices are exchanged with everything else.
  const RunShape sliced = mixture("dp=4,tp=2");
  const Prices inside(sliced, shipped());
  EXPECT_EQ(data_parallel_seconds(sliced, inside, {1e9, 8e9}, 0), data_parallel_seconds(sliced, inside, {9e9, 0}, 0));
}

// With one copy of an expert there is no one to divide its states with.
TEST(Exchange, OptimizerOfExpertsIsDividedAmongTheirCopies) {
  for (const auto& [layout, shards] : {std::pair{"dp=16,ep=16,zero=1", 1}, {"dp=16,ep=4,zero=1", 4}, {"dp=16,zero=1", 16}}) {
    RunShape run = mixture(layout);
    run.model.experts.count = 16;
    const Prices prices(run, shipped());
    const TimeParameters& p = prices.parameters();
    const double bytes = 8e9 * (p("optimizer_bytes") / shards + p("optimizer_bytes_whole"));
    EXPECT_NEAR(optimizer_seconds(run, prices, {0, 8e9}), bytes / prices.device().memory, 1e-9) << layout;
  }
}

// FSDP gathers a layer's experts among their copies alone: here none.
TEST(Step, GathersNoExpertThatARankHoldsAlone) {
  RunShape run = mixture("dp=8,ep=8,zero=3");
  const StepEstimate few = estimate_step(run, shipped());
  run.model.experts.shared = 0, run.model.experts.width *= 2;
  const StepEstimate wide = estimate_step(run, shipped());
  EXPECT_GT(few.layer.exposed_sharding, 0);
  // Longer products hide as much or more of the same gathers.
  EXPECT_LE(wide.layer.exposed_sharding, few.layer.exposed_sharding * (1 + 1e-9));
}

// Expert-parallel ranks are neighbours, also across tensor-parallel groups: eight of a node exchange tokens inside it.
TEST(Prices, OfTokensToExpertsAreThoseOfNeighbours) {
  const RunShape run = mixture("dp=4,tp=4,ep=8,sp=1");
  const Prices prices(run, shipped());
  const WorkItem item{.kind = WorkKind::collective,
                      .pass = WorkPass::forward,
                      .name = "dispatch",
                      .bytes = 1e9,
                      .collective = CollectiveKind::all_to_all,
                      .group = Group::expert};
  EXPECT_DOUBLE_EQ(prices.of(item), 7.0 / 8 * 1e9 / prices.exchange_bandwidth(8, 1));
}

TEST(Step, GrowsWithWorkAndShrinksWithRates) {
  const auto seconds = [](RunShape run) { return estimate_step(run, shipped()).seconds; };
  RunShape more = small();
  more.global_batch *= 2;
  EXPECT_GT(seconds(more), seconds(small()));
  more = small();
  more.model.layers += 4;
  EXPECT_GT(seconds(more), seconds(small()));
  more = gpt_146b();
  more.layout.recompute = program::Recompute::none;
  EXPECT_LT(seconds(more), seconds(gpt_146b()));
  more = gpt_146b();
  more.sequence_length *= 2;
  EXPECT_GT(seconds(more), 2 * seconds(gpt_146b()));
  for (const RunShape& run : {gpt_146b(), llama(), small()})
    for (const char* name : {"gemm_efficiency", "memory_efficiency"})
      EXPECT_LT(estimate_step(run, with(name, 0.95)).seconds, estimate_step(run, with(name, 0.4)).seconds) << run.framework << ' ' << name;
}

TEST(Step, LaunchesSetThePaceOfSmallLayers) {
  RunShape run = small();
  run.micro_batch = 1;
  run.model.width = 512, run.model.head_dim = 16, run.model.ffn_width = 1024;
  const StepEstimate e = estimate_step(run, shipped());
  EXPECT_LT(e.layer.launch_ratio(), 1);
  EXPECT_NEAR(e.layer.forward + e.layer.backward, e.layer.launch, 0.02 * e.layer.launch);
  EXPECT_GT(estimate_step(small(), shipped()).layer.launch_ratio(), 1);
}

// Accounting C6: exposed time is part of the whole, and of what overlaps the bound is the longer.
TEST(Step, WhatIsExposedIsAtMostAll) {
  for (const char* layout : {"dp=2,tp=8", "dp=2,tp=8,sp=1"}) {
    RunShape run = llama();
    run.framework = "megatron-lm", run.layout = parse(layout), run.devices = 16;
    const LayerTime layer = estimate_step(run, shipped()).layer;
    EXPECT_GT(layer.exposed_collectives.tensor, 0) << layout;
    EXPECT_LE(layer.exposed_collectives.total(), layer.collectives * (1 + 1e-12)) << layout;
    EXPECT_GE(layer.forward + layer.backward, layer.device - layer.collectives) << layout;
  }
}

// HSDP: parameters are gathered inside a node instead of from all nodes; the copies of each piece add up their gradients across.
TEST(Step, ShardingInsideANodeTradesGathersForOneAllReduce) {
  const RunShape whole = llama();
  RunShape inside = llama();
  inside.layout.shard_ranks = 8;
  const Calibration& c = shipped();
  EXPECT_LT(estimate_step(inside, c).layer.exposed_sharding, estimate_step(whole, c).layer.exposed_sharding);
  const Prices prices(inside, c);
  const double parameters = 8e9, copies = 16;
  const HeldParameters held{parameters, 0};
  const double across = 2 * prices.parameters()("reduce_bytes") * (copies - 1) / copies * parameters / 8 / prices.exchange_bandwidth(16, 8);
  EXPECT_NEAR(data_parallel_seconds(inside, prices, held, 1) - data_parallel_seconds(whole, Prices(whole, c), held, 1), across,
              1e-9 * across);
  const auto weights = [&](const RunShape& run) { return estimate_memory(run, c, Pace{}).stages[0].weights; };
  EXPECT_NEAR(weights(inside) / weights(whole), 16, 1e-9);
}

TEST(Step, InterleavingShortensTheBubble) {
  RunShape run = gpt_146b();
  const StepEstimate plain = estimate_step(run, shipped());
  run.layout.chunks = 2, run.layout.schedule = program::ScheduleKind::interleaved;
  const StepEstimate chunked = estimate_step(run, shipped());
  EXPECT_NEAR(chunked.bubble, plain.bubble / 2, 0.1 * plain.bubble);
  EXPECT_GT(chunked.pipeline_transfers, 1.5 * plain.pipeline_transfers);
}

TEST(Step, SaysThatItIsUncalibrated) {
  RunShape run = llama();
  run.accelerator = "mi300x";
  const StepEstimate e = estimate_step(run, shipped());
  EXPECT_FALSE(e.calibrated);
  ASSERT_FALSE(e.warnings.empty());
  EXPECT_NE(e.warnings.back().find("uncalibrated"), std::string::npos);
  EXPECT_GT(e.seconds, 0);
  // A device of 1.3 times the peak is neither slower by far nor faster than its peak allows.
  const double reference = estimate_step(llama(), shipped()).seconds;
  EXPECT_GT(e.seconds, reference / 3);
  EXPECT_LT(e.seconds, 3 * reference);
  run.framework = "a framework of one's own";
  EXPECT_GT(estimate_step(run, shipped()).seconds, 0);
}

TEST(Stall, IsExpectedOfBlockingMessagesAlone) {
  RunShape run = small();
  run.layout = parse("dp=2,tp=8,pp=32,zero=1");
  run.devices = 512;
  const double device = 80e9;
  EXPECT_TRUE(expect_stall(run, 0, device).messages);
  run.framework = "megatron-lm";
  EXPECT_FALSE(expect_stall(run, 0, device).messages);
  run.framework = "nanotron";
  run.layout = parse("dp=2,tp=8,pp=2,zero=1"), run.devices = 32;
  EXPECT_FALSE(expect_stall(run, 0, device).messages);
  EXPECT_TRUE(expect_stall(run, 90e9, device).messages);
  run.layout = parse("dp=4,tp=8,pp=1,zero=1");
  EXPECT_FALSE(expect_stall(run, 90e9, device).messages);
  EXPECT_TRUE(expect_stall(run, 90e9, device).launches);
}

TEST(Stall, LengthensEveryMessage) {
  RunShape run = small();
  run.layout = parse("dp=2,tp=8,pp=4,zero=0");
  run.devices = 64;
  run.micro_batch = 1;
  const StepEstimate calm = estimate_step(run, shipped());  // 32 micro-batches: the rule says stalled
  ASSERT_TRUE(calm.stalled);
  ASSERT_FALSE(calm.warnings.empty());
  EXPECT_NE(calm.warnings.front().find("stall"), std::string::npos);
  const StepEstimate without = estimate_step(run, with("p2p_stall", 0));
  // A rank inside the pipeline takes part in four messages of every micro-batch.
  EXPECT_GT(calm.seconds - without.seconds, 32 * 4 * 0.2);
}

TEST(ParameterKey, NamesTheLink) {
  EXPECT_EQ(parameter_key(small()), (ParameterKey{"h100", "node", "nanotron", "bf16"}));
  EXPECT_EQ(parameter_key(gpt_146b()), (ParameterKey{"a100", "network", "megatron-lm", "fp16"}));
  RunShape run = gpt_146b();
  run.network = "OmniPath";
  EXPECT_EQ(parameter_key(run).link, "OmniPath");
}

TEST(Framework, IsFoundWithoutItsAdditions) {
  EXPECT_TRUE(framework("torchtitan+compile").shards_by_layer);
  EXPECT_TRUE(framework("nanotron").blocking_messages);
  EXPECT_TRUE(framework("something else").name.empty());
}

}  // namespace
}  // namespace longhaul::cost
