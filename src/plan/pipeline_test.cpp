#include "plan/pipeline.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace longhaul::plan {
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

}  // namespace
}  // namespace longhaul::plan
