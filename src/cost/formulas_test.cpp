// Golden values of accounting B, C, D and F.
#include "cost/formulas.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "cost/test_formulas.h"

namespace longhaul::cost {
namespace {

constexpr double kMinute = 60, kHour = 3600;

TEST(Memory, StatesPerParameter) {
  const StateBytes& s = kStatesWithoutMaster;
  EXPECT_EQ(s.total(), 12);
  EXPECT_EQ(7e9 * s.weights, 14e9);
  EXPECT_EQ(7e9 * s.gradients, 14e9);
  EXPECT_EQ(7e9 * s.optimizer(), 56e9);
  EXPECT_EQ(7e9 * s.total(), 84e9);
  EXPECT_EQ(1e9 * s.total(), 12e9);
  EXPECT_EQ(kStatesMegatron.total(), 18);
}
TEST(Memory, Zero) {
  const std::array<double, 4> golden{84, 35, 22.75, 10.5};
  for (int stage = 0; stage < 4; ++stage) EXPECT_EQ(zero_states(14, 14, 56, stage, 8).total(), golden[stage]) << stage;
}
// Korthikanti et al. 2022 table 2, at the shape of its 22B model: s 2048, b 4, h 6144, a 64, t 8.
TEST(Memory, KorthikantiTable) {
  const LayerShape shape{2048, 4, 6144, 64};
  const double sbh = 2048.0 * 4 * 6144, scores = 5.0 * 64 * 2048 / 6144;
  EXPECT_DOUBLE_EQ(korthikanti_bytes(ActivationCase::no_parallelism, shape, 1), sbh * (34 + scores));
  EXPECT_DOUBLE_EQ(korthikanti_bytes(ActivationCase::tensor, shape, 8), sbh * (10 + 3 + scores / 8));
  EXPECT_DOUBLE_EQ(korthikanti_bytes(ActivationCase::tensor_sequence, shape, 8), sbh / 8 * (34 + scores));
  EXPECT_DOUBLE_EQ(korthikanti_bytes(ActivationCase::tensor_selective, shape, 8), sbh * 13);
  EXPECT_DOUBLE_EQ(korthikanti_bytes(ActivationCase::tensor_sequence_selective, shape, 8), sbh * 4.25);
  EXPECT_DOUBLE_EQ(korthikanti_bytes(ActivationCase::full, shape, 8), sbh * 2);
  // One rank and no parallelism are the same thing.
  EXPECT_DOUBLE_EQ(korthikanti_bytes(ActivationCase::tensor, shape, 1), korthikanti_bytes(ActivationCase::no_parallelism, shape, 1));
}
// The same shape in bytes: 140.7, 30.3, 17.6, 13, 4.25 and 2 times sbh = 50,331,648.
TEST(Memory, KorthikantiBytes) {
  const LayerShape shape{2048, 4, 6144, 64};
  EXPECT_NEAR(korthikanti_bytes(ActivationCase::no_parallelism, shape, 1), 7'079'985'152, 1);
  EXPECT_NEAR(korthikanti_bytes(ActivationCase::tensor, shape, 8), 1'325'400'064, 1);
  EXPECT_NEAR(korthikanti_bytes(ActivationCase::tensor_sequence, shape, 8), 884'998'144, 1);
  EXPECT_NEAR(korthikanti_bytes(ActivationCase::tensor_sequence_selective, shape, 8), 213'909'504, 1);
  EXPECT_NEAR(korthikanti_bytes(ActivationCase::full, shape, 8), 100'663'296, 1);
}
// Backward, segment by segment: the boundaries not yet consumed, and the layers of the segment that runs again.
TEST(Memory, SqrtCheckpointingOnAClock) {
  constexpr int kLayers = 48, kSegments = 7;
  double peak = 0;
  for (int segment = 0; segment < kSegments; ++segment) {
    const int layers = (segment + 1) * kLayers / kSegments - segment * kLayers / kSegments;
    peak = std::max(peak, (segment + 1 + layers) * 0.35);
  }
  const Checkpointed c = sqrt_checkpointing(kLayers, 0.35);
  EXPECT_NEAR(peak, c.boundary_bytes + c.segment_bytes, 0.35);  // whole layers and segments
  EXPECT_GT(peak, 1.8 * c.boundary_bytes) << "the boundary store alone is not the peak";
}
TEST(Memory, SqrtCheckpointing) {
  const Checkpointed c = sqrt_checkpointing(48, 0.35);
  EXPECT_NEAR(48 * 0.35, 16.8, 1e-12);
  EXPECT_NEAR(c.boundary_bytes, 2.4249, 5e-5);
  EXPECT_NEAR(c.segment_bytes, c.boundary_bytes, 1e-12);  // "about as much again"
}
TEST(Memory, Logits) {
  EXPECT_EQ(logits_bytes(4 * 1024, 50257, 1).value, 823'410'688);
  EXPECT_EQ(logits_bytes(4 * 1024, 50257, 8).value, 4LL * 1024 * 6283 * 4);  // the largest shard
}
TEST(Memory, InFlight) {
  EXPECT_EQ(in_flight_1f1b(0, 8, 64), 8);
  EXPECT_EQ(in_flight_1f1b(7, 8, 64), 1);
  EXPECT_EQ(in_flight_1f1b(0, 8, 3), 3);
  EXPECT_DOUBLE_EQ(interleaved_activation_factor(8, 2), 1 + 7.0 / 16);
}

TEST(Communication, AllReduceSimpleForm) {
  const Link link{0.05e-3, 200e9};
  const std::array<std::pair<double, double>, 4> golden{{{0.5e9, 2.55}, {1e9, 5.05}, {2e9, 10.05}, {4e9, 20.05}}};
  for (const auto& [bytes, ms] : golden)
    EXPECT_NEAR(all_reduce_simple(Bytes(static_cast<std::int64_t>(bytes)), 2, link).value * 1e3, ms, 1e-9);
}
// 1 GB among 8 ranks at 100 GB/s and 5 µs: 2·7/8 of it and 14 hops; a tree sends it twice and 2·3 levels; 8 · 4 ranks, the nodes' links at
// 25 GB/s and 10 µs, 1/8 of it between them: 17.57 ms inside and 7.56 ms across.
TEST(Communication, AllReduceByAlgorithm) {
  const Bytes payload(1'000'000'000);
  const Link inside{5e-6, 100e9}, across{10e-6, 25e9};
  EXPECT_NEAR(all_reduce_ring(payload, 8, inside).value, 17.57e-3, 1e-9);
  EXPECT_NEAR(all_reduce_tree(payload, 8, inside).value, 20.03e-3, 1e-9);
  EXPECT_NEAR(all_reduce_hierarchical(payload, 8, 4, inside, across).value, 17.57e-3 + 7.56e-3, 1e-9);
}
TEST(Communication, AllReduceIsReduceScatterAndAllGather) {
  const Link link{3e-6, 100e9};
  for (const int n : {1, 2, 7, 64}) {
    const Bytes payload(123456789);
    EXPECT_EQ(all_reduce_ring(payload, n, link), reduce_scatter_ring(payload, n, link) + all_gather_ring(payload, n, link));
  }
  EXPECT_EQ(all_reduce_ring(Bytes(1000), 1, link).value, 0);
}
TEST(Communication, AcrossNodesIsSlowerThanInside) {
  const Link inside{2e-6, 300e9}, across{10e-6, 25e9};
  for (const std::int64_t bytes : {1'000LL, 1'000'000LL, 1'000'000'000LL}) {
    EXPECT_LT(all_reduce_ring(Bytes(bytes), 8, inside), all_reduce_ring(Bytes(bytes), 8, across));
    // The two tiers together beat one ring over all ranks at the slow tier's speed.
    EXPECT_LT(all_reduce_hierarchical(Bytes(bytes), 8, 4, inside, across), all_reduce_ring(Bytes(bytes), 32, across));
  }
}
TEST(Communication, Stragglers) {
  const std::array<std::pair<int, double>, 4> golden{{{2, 0.5642}, {8, 1.4236}, {64, 2.3437}, {1024, 3.2482}}};
  for (const auto& [n, sigma] : golden) EXPECT_NEAR(expected_normal_maximum(n), sigma, 5e-5) << n;
  EXPECT_NEAR(expected_normal_maximum(1), 0, 1e-9);
}

TEST(Compute, MfuOfARun) {
  EXPECT_NEAR(6.0 * 7e9 * 300e9, 1.26e22, 1e9);
  EXPECT_NEAR(run_mfu(Flops(1.26e22), Seconds(14 * 24 * kHour), 512, 312e12), 0.0652, 5e-5);
  EXPECT_DOUBLE_EQ(run_mfu(Flops(60e15), Seconds(1), 1, 160e15), 0.375);
  EXPECT_NEAR(6 * 174'604'259'328.0 * 300e9, 3.143e23, 5e19);  // GPT-3
}
TEST(Compute, TimeAndMoney) {
  const Flops work(6.0 * 13e9 * 1e12);
  EXPECT_DOUBLE_EQ(work.value, 7.8e22);
  const Seconds time = device_time(work, 300e12);
  EXPECT_NEAR(time.value / kHour, 72222, 0.5);
  EXPECT_NEAR(dollars(time, 2), 144e3, 500);
  EXPECT_NEAR(dollars(time, 3), 217e3, 500);
  EXPECT_NEAR(kilowatt_hours(time, 700), 50'556, 1);
}

TEST(Data, Epochs) {
  EXPECT_DOUBLE_EQ(epochs(Tokens(300'000'000'000), Tokens(75'000'000'000)), kManyEpochs);
  EXPECT_DOUBLE_EQ(epochs(Tokens(1000), Tokens(4000)), 0.25);
}

TEST(Operations, CheckpointOverhead) {
  const std::array<std::pair<double, double>, 4> golden{{{100, 47.37}, {500, 15.25}, {1000, 8.257}, {5000, 1.768}}};
  for (const auto& [every, percent] : golden)
    EXPECT_NEAR(100 * checkpoint_overhead(Seconds(2), Seconds(180), every), percent, 5e-3) << every;
}
TEST(Operations, BestInterval) {
  const Seconds save(5 * kMinute);
  const std::array<std::pair<double, double>, 3> golden{{{24 * kHour, 116.69}, {6 * kHour, 56.71}, {15 * kMinute, 9.14}}};
  for (const auto& [mtbf, minutes] : golden) EXPECT_NEAR(daly_interval(save, Seconds(mtbf)).value / kMinute, minutes, 5e-3);
  EXPECT_EQ(daly_interval(save, Seconds(2 * kMinute)).value, 2 * kMinute);  // δ ≥ 2M
  EXPECT_NEAR(young_interval(save, Seconds(24 * kHour)).value / kMinute, 120, 1e-9);
}
TEST(Operations, GoodputAddsUpAndDalysIntervalIsItsBest) {
  const Seconds save(120), restart(300), mtbf(6 * kHour), best = daly_interval(save, mtbf);
  const Goodput g = expected_goodput(best, save, restart, mtbf);
  EXPECT_NEAR(g.useful + g.saving + g.lost + g.restarting, 1, 1e-9);
  for (const double factor : {0.7, 1.4}) EXPECT_GT(g.useful, expected_goodput(Seconds(best.value * factor), save, restart, mtbf).useful);
  EXPECT_GT(g.useful, .85);
  // Failures faster than anything can be saved: all is lost, and still adds up.
  const Goodput none = expected_goodput(Seconds(1), save, restart, Seconds(1e-3));
  EXPECT_EQ(none.useful, 0);
  EXPECT_EQ(none.useful + none.saving + none.lost + none.restarting, 1);
}

}  // namespace
}  // namespace longhaul::cost
