#include "cost/pipeline.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "cost/formulas.h"

namespace longhaul::cost {
namespace {

using program::make_schedule;
using program::Schedule;
using program::ScheduleKind;

/// Forward, input gradient and weight gradient take a second each, shared by the chunks of a rank; transfers take none.
PipelineTime unit_time(ScheduleKind kind, int p, int m, int v = 1) {
  const Schedule schedule = make_schedule(kind, p, m, v);
  EXPECT_EQ(validate(schedule), std::vector<std::string>{});
  return play(schedule, std::vector<StageCost>(static_cast<std::size_t>(p) * v, StageCost{1.0 / v, 1.0 / v, 1.0 / v}));
}

// Accounting C3 (Narayanan et al. 2021 §2.2; Qi et al. 2023 table 2).
TEST(Bubble, OfUniformStagesIsTheClosedForm) {
  for (const int p : {1, 2, 3, 4, 8, 13})
    for (const int m : {1, 2, 4, 12, 16, 64})
      for (const ScheduleKind kind : {ScheduleKind::gpipe, ScheduleKind::one_f_one_b})
        EXPECT_NEAR(unit_time(kind, p, m).bubble(), (p - 1.0) / (m + p - 1.0), 1e-12) << p << " stages, " << m << " micro-batches";
}
TEST(Bubble, OfInterleavedStagesIsTheClosedForm) {
  for (const int p : {2, 4, 8})
    for (const int v : {2, 3, 4})
      for (const int groups : {1, 2, 5})
        EXPECT_NEAR(unit_time(ScheduleKind::interleaved, p, groups * p, v).bubble(), (p - 1.0) / (v * groups * p + p - 1.0), 1e-12)
            << p << ' ' << v;
}
TEST(Bubble, OfZbH1IsAThirdOf1F1BsIdleTime) {
  for (const int p : {2, 3, 4, 8, 16})
    for (const int m : {p, p + 1, 2 * p, 4 * p + 3})
      EXPECT_NEAR(unit_time(ScheduleKind::zb_h1, p, m).bubble(), (p - 1.0) / (3.0 * m + p - 1.0), 1e-12) << p << ' ' << m;
}
TEST(Bubble, OfZbH2IsNoLargerThanZbH1s) {
  for (const int p : {2, 4, 8})
    EXPECT_LE(unit_time(ScheduleKind::zb_h2, p, 4 * p).bubble(), unit_time(ScheduleKind::zb_h1, p, 4 * p).bubble()) << p;
}
TEST(Bubble, Golden) {
  EXPECT_NEAR(unit_time(ScheduleKind::one_f_one_b, 8, 1).bubble(), .875, 5e-4);
  EXPECT_NEAR(unit_time(ScheduleKind::one_f_one_b, 8, 4).bubble(), .636, 5e-4);
  EXPECT_NEAR(unit_time(ScheduleKind::one_f_one_b, 8, 16).bubble(), .304, 5e-4);
  EXPECT_NEAR(unit_time(ScheduleKind::one_f_one_b, 8, 64).bubble(), .0986, 5e-5);
  EXPECT_NEAR(unit_time(ScheduleKind::one_f_one_b, 4, 12).bubble(), .2, 1e-12);
  EXPECT_NEAR(unit_time(ScheduleKind::interleaved, 8, 16, 2).bubble(), .1795, 5e-5);
  EXPECT_NEAR(unit_time(ScheduleKind::zb_h1, 8, 16).bubble(), .1273, 5e-5);
}

// Accounting B6; Narayanan et al. 2021 §2.2.2 for the interleaved factor.
TEST(InFlight, IsTheClosedForm) {
  constexpr int p = 8, m = 32, v = 2;
  for (int rank = 0; rank < p; ++rank) {
    EXPECT_EQ(peak_in_flight(make_schedule(ScheduleKind::one_f_one_b, p, m), rank), std::min(m, p - rank));
    EXPECT_EQ(peak_in_flight(make_schedule(ScheduleKind::one_f_one_b, p, 3), rank), std::min(3, p - rank));
    EXPECT_EQ(peak_in_flight(make_schedule(ScheduleKind::gpipe, p, m), rank), m);
    EXPECT_LE(peak_in_flight(make_schedule(ScheduleKind::zb_h1, p, m), rank), p);
    EXPECT_LE(peak_in_flight(make_schedule(ScheduleKind::zb_h2, p, m), rank), 2 * p - 1);
  }
  for (int rank = 0; rank < p; ++rank)
    for (const int chunks : {2, 3})
      for (const int micro_batches : {p, m})
        EXPECT_EQ(peak_in_flight(make_schedule(ScheduleKind::interleaved, p, micro_batches, chunks), rank),
                  in_flight_interleaved(rank, p, micro_batches, chunks));
  // Chunks hold a v-th of a rank's layers: p · v · (1 + (p − 1)/(p · v)) of them on the first rank.
  EXPECT_EQ(peak_in_flight(make_schedule(ScheduleKind::interleaved, p, m, v), 0), p * v + p - 1);
}

TEST(Play, TheSlowestStageSetsThePace) {
  std::vector<StageCost> costs(4, {1, 1, 1});
  costs[2] = {2, 2, 2};
  const PipelineTime time = play(make_schedule(ScheduleKind::one_f_one_b, 4, 100), costs);
  // Its own work; two forwards before its first turn, a second of waiting for the stage after it, two backwards after its last turn.
  EXPECT_NEAR(time.total, 100 * 6 + 2 * 1 + 1 + 2 * 2, 1e-9);
}

TEST(Play, TransfersDelayWhoWaits) {
  std::vector<StageCost> costs(2, {1, 1, 1, 0.5, 0.25});
  EXPECT_NEAR(play(make_schedule(ScheduleKind::one_f_one_b, 2, 1), costs).total, 6 + 0.5 + 0.25, 1e-12);
}

TEST(Play, KeepsTurnsInOrderWithoutOverlap) {
  const Schedule schedule = make_schedule(ScheduleKind::interleaved, 4, 8, 2);
  const PipelineTime time = play(schedule, std::vector<StageCost>(8, {1, 1, 1}), true);
  ASSERT_EQ(time.turns.size(), 4u * 2 * 8 * 2);
  for (std::size_t i = 1; i < time.turns.size(); ++i)
    EXPECT_TRUE(time.turns[i].rank != time.turns[i - 1].rank || time.turns[i].begin >= time.turns[i - 1].end) << i;
}

TEST(ScheduleRules, FaultsAreNamed) {
  Schedule schedule = make_schedule(ScheduleKind::one_f_one_b, 2, 4);
  std::swap(schedule.ranks[0][0], schedule.ranks[0].back());
  EXPECT_FALSE(validate(schedule).empty());
  schedule = make_schedule(ScheduleKind::zb_h1, 2, 4);
  auto& turns = schedule.ranks[1];
  const auto weight = [](const program::Turn& t) { return t.kind == program::TurnKind::weight_gradient; };
  const auto first = std::find_if(turns.begin(), turns.end(), weight), second = std::find_if(first + 1, turns.end(), weight);
  std::swap(*first, *second);
  const auto faults = validate(schedule);
  ASSERT_FALSE(faults.empty());
  EXPECT_NE(faults[0].find("rank 1"), std::string::npos);
  // A deadlock: the first stage wants a gradient before it has sent what the gradient is made from.
  schedule = make_schedule(ScheduleKind::one_f_one_b, 2, 2);
  schedule.ranks[1] = {schedule.ranks[1][2], schedule.ranks[1][0], schedule.ranks[1][1], schedule.ranks[1][3]};
  schedule.ranks[0] = {schedule.ranks[0][0], schedule.ranks[0][2], schedule.ranks[0][1], schedule.ranks[0][3]};
  EXPECT_FALSE(validate(schedule).empty());
}

// By hand: two stages, one micro-batch; the message takes 3 s, of which both ends are taken for 2.
TEST(Play, AMessageTakesBothItsEnds) {
  const std::vector<StageCost> costs{{.forward = 1, .input_gradient = 2, .send_forward = 1, .blocking_forward = 2},
                                     {.forward = 1, .input_gradient = 2, .send_backward = 1, .blocking_backward = 2}};
  // 1 forward, 1 + 2 message, 1 + 2 the last stage, 1 + 2 message, 2 backward.
  EXPECT_DOUBLE_EQ(play(make_schedule(ScheduleKind::one_f_one_b, 2, 1), costs).total, 12);
  // With many micro-batches a rank of the middle is taken by four messages of each.
  std::vector<StageCost> three{costs[0], costs[0], costs[1]};
  three[1].send_backward = 1, three[1].blocking_backward = 2;
  const auto total = [&](int m) { return play(make_schedule(ScheduleKind::gpipe, 3, m), three).total; };
  EXPECT_DOUBLE_EQ(total(41) - total(40), 3 + 4 * 2);
}

/// Costs without any pattern, from a fixed seed.
std::vector<StageCost> uneven_costs(int stages, unsigned seed) {
  std::vector<StageCost> costs(static_cast<std::size_t>(stages));
  const auto next = [&] { return static_cast<double>((seed = seed * 1664525U + 1013904223U) >> 8) / (1U << 24); };
  for (StageCost& cost : costs) {
    cost = {1 + 0.2 * next(), 1 + 0.2 * next(), 1 + 0.2 * next(), 0.1 * next(), 0.1 * next(), 0.05 * next(), 0.05 * next()};
    if (seed % 3 == 0) cost.send_forward = cost.blocking_forward = 0;
  }
  return costs;
}
TEST(PlayPeriodic, EqualsPlayingEveryMicroBatch) {
  for (const ScheduleKind kind : {ScheduleKind::gpipe, ScheduleKind::one_f_one_b, ScheduleKind::zb_h1, ScheduleKind::zb_h2})
    for (const int p : {1, 2, 3, 5, 8})
      for (const int m : {1, 7, 50, 173, 400})
        for (const unsigned seed : {1U, 2U, 3U}) {
          const auto costs = uneven_costs(p, seed);
          const PipelineTime full = play(make_schedule(kind, p, m), costs), fast = play_periodic(kind, p, m, 1, costs);
          ASSERT_NEAR(fast.total, full.total, 1e-9 * full.total) << name(kind) << ' ' << p << ' ' << m << ' ' << seed;
          for (int rank = 0; rank < p; ++rank) ASSERT_NEAR(fast.busy[rank], full.busy[rank], 1e-9 * full.total);
        }
}
TEST(PlayPeriodic, EqualsPlayingEveryMicroBatchOfSeveralChunks) {
  for (const int p : {2, 4})
    for (const int v : {2, 3})
      for (const int groups : {1, 12, 41}) {
        const auto costs = uneven_costs(p * v, 7);
        const PipelineTime full = play(make_schedule(ScheduleKind::interleaved, p, groups * p, v), costs);
        const PipelineTime fast = play_periodic(ScheduleKind::interleaved, p, groups * p, v, costs);
        EXPECT_NEAR(fast.total, full.total, 1e-9 * full.total) << p << ' ' << v << ' ' << groups;
      }
}
TEST(BoundPipeline, IsNeverAboveThePlay) {
  const auto check = [](ScheduleKind kind, int p, int m, int v, unsigned seed) {
    const auto costs = uneven_costs(p * v, seed);
    const PipelineTime full = play(make_schedule(kind, p, m, v), costs), bound = bound_pipeline(kind, p, m, v, costs);
    ASSERT_LE(bound.total, full.total * (1 + 1e-12)) << name(kind) << ' ' << p << ' ' << m << ' ' << v << ' ' << seed;
    ASSERT_GE(bound.total, 0.5 * full.total) << "a bound that bounds nothing";
    for (int rank = 0; rank < p; ++rank) ASSERT_NEAR(bound.busy[rank], full.busy[rank], 1e-9 * full.total);
  };
  for (const int p : {1, 2, 3, 8})
    for (unsigned seed = 1; seed < 40; ++seed) {
      for (const ScheduleKind kind : {ScheduleKind::gpipe, ScheduleKind::one_f_one_b, ScheduleKind::zb_h1, ScheduleKind::zb_h2})
        for (const int m : {1, 2, 9, 40}) check(kind, p, m, 1, seed);
      for (const int groups : {1, 3, 8}) check(ScheduleKind::interleaved, p, groups * p, 3, seed);
    }
}
TEST(BoundPipeline, IsThePlayOfUniformStages) {
  const std::vector<StageCost> costs(6, StageCost{1, 1, 1});
  EXPECT_NEAR(bound_pipeline(ScheduleKind::one_f_one_b, 6, 20, 1, costs).total,
              play(make_schedule(ScheduleKind::one_f_one_b, 6, 20), costs).total, 1e-12);
}
TEST(PlayPeriodic, SeesAStageThatIsSlowerByAHair) {
  std::vector<StageCost> costs(4, StageCost{1, 1, 1, 0.01, 0.01});
  costs[1].forward = 1.001;
  const PipelineTime full = play(make_schedule(ScheduleKind::one_f_one_b, 4, 2000), costs);
  EXPECT_NEAR(play_periodic(ScheduleKind::one_f_one_b, 4, 2000, 1, costs).total, full.total, 1e-9 * full.total);
}

}  // namespace
}  // namespace longhaul::cost
