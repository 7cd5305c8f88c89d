#include "train/guards.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "kernels/random.h"

namespace longhaul::train {
namespace {

config::GuardsTable limits() {  // accounting F5, and F4's fixture for the spike
  config::GuardsTable table;
  table.window = 100;
  table.silent_steps = 20;
  table.loss_alarm_ratio = 3;
  table.loss_skip_ratio = 10;
  table.grad_norm_warn = 10;
  table.grad_norm_alarm = 100;
  table.spike_window = 20;
  table.spike_threshold = 0.20;
  return table;
}

TEST(Guards, TheMeanIsOverItsOwnWindow) {
  config::GuardsTable table = limits();
  table.spike_window = 200;
  table.spike_threshold = 0;
  GuardState state;
  for (int step = 0; step < 200; ++step) {
    const double loss = step < 100 ? 50.0 : 1.0;
    remember(table, state, {loss, 1, 0, 0}, Verdict{});
  }
  const Verdict verdict = judge(table, state, {3.5, 1, 0, 0});  // above 3 × the mean of the last 100; that of all 200 is 25.5
  EXPECT_EQ(verdict.alarms, std::vector<std::string>{"loss_ratio"});
}

/// Normal noise, a pure function of the step.
double noise(std::int64_t step, double deviation) {
  double sum = 0;
  for (std::uint32_t stream = 0; stream < 12; ++stream)
    sum += kernels::uniform(7, kernels::Purpose::synthetic_data, static_cast<std::uint64_t>(step), stream);
  return deviation * (sum - 6);  // twelve uniforms: variance 1
}

struct Alarm {
  std::int64_t step;
  std::string name;
  bool operator==(const Alarm&) const = default;
};

/// Runs the guards over 200 steps of a clean curve in which `disturb` changes one step.
template <typename Disturb>
std::pair<std::vector<Alarm>, std::vector<std::int64_t>> watch(Disturb disturb) {
  GuardState state;
  std::vector<Alarm> alarms;
  std::vector<std::int64_t> skipped;
  for (std::int64_t step = 0; step < 200; ++step) {
    Observation seen{3 - 0.002 * static_cast<double>(step) + noise(step, 0.015), 1.0, 1e-3, 1e-3};
    disturb(step, seen);
    const Verdict verdict = judge(limits(), state, seen);
    for (const std::string& name : verdict.alarms) alarms.push_back({step, name});
    if (!verdict.apply) skipped.push_back(step);
    remember(limits(), state, seen, verdict);
  }
  return {alarms, skipped};
}

TEST(Guards, CleanRunRaisesNothing) {
  const auto [alarms, skipped] = watch([](std::int64_t, Observation&) {});
  EXPECT_TRUE(alarms.empty());
  EXPECT_TRUE(skipped.empty());
}

TEST(Guards, SpikeOfAccountingF4FiresAt120Only) {
  const auto [alarms, skipped] = watch([](std::int64_t step, Observation& seen) { seen.loss += step == 120 ? 0.45 : 0; });
  EXPECT_EQ(alarms, (std::vector<Alarm>{{120, "loss_spike"}}));
  EXPECT_TRUE(skipped.empty());
}

TEST(Guards, EachAlarmOfAccountingF5FiresOnceOnItsFixture) {
  const auto at_90 = [](auto change) {
    return watch([change](std::int64_t step, Observation& seen) {
      if (step == 90) change(seen);
    });
  };
  const auto [ratio, ratio_skips] = at_90([](Observation& seen) { seen.loss = 4 * seen.loss; });
  EXPECT_EQ(ratio, (std::vector<Alarm>{{90, "loss_ratio"}, {90, "loss_spike"}}));
  EXPECT_TRUE(ratio_skips.empty());

  const auto [huge, huge_skips] = at_90([](Observation& seen) { seen.loss = 11 * seen.loss; });
  EXPECT_EQ(huge_skips, std::vector<std::int64_t>{90});
  EXPECT_TRUE(std::find(huge.begin(), huge.end(), Alarm{90, "loss_ratio"}) != huge.end());

  EXPECT_EQ(at_90([](Observation& seen) { seen.grad_norm = 11; }).first, (std::vector<Alarm>{{90, "grad_norm_warn"}}));
  EXPECT_EQ(at_90([](Observation& seen) { seen.grad_norm = 101; }).first, (std::vector<Alarm>{{90, "grad_norm_alarm"}}));
  EXPECT_EQ(at_90([](Observation& seen) { seen.learning_rate = 2e-3; }).first, (std::vector<Alarm>{{90, "learning_rate"}}));
}

TEST(Guards, WhatIsNotFiniteIsSkippedAndNeverRemembered) {
  for (double bad : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    const auto loss = watch([bad](std::int64_t step, Observation& seen) { seen.loss = step == 90 ? bad : seen.loss; });
    const auto norm = watch([bad](std::int64_t step, Observation& seen) { seen.grad_norm = step == 90 ? bad : seen.grad_norm; });
    for (const auto& [alarms, skipped] : {loss, norm}) {
      EXPECT_EQ(skipped, std::vector<std::int64_t>{90});
      EXPECT_EQ(alarms, (std::vector<Alarm>{{90, "not_finite"}}));  // and the detector lives on: nothing else fires afterwards
    }
  }
}

TEST(Guards, SilentForTheFirstTwentyAppliedSteps) {
  const auto [alarms, skipped] = watch([](std::int64_t step, Observation& seen) { seen.loss += step == 15 ? 20 : 0; });
  EXPECT_TRUE(alarms.empty());
  EXPECT_TRUE(skipped.empty());
}

TEST(Guards, StateSurvivesJsonBitForBit) {
  GuardState state;
  for (std::int64_t step = 0; step < 30; ++step) remember(limits(), state, {noise(step, 1.0 / 3), noise(step + 99, 0.1), 0, 0}, {});
  state.skipped_in_a_row = 2;
  const GuardState again = guards_from_json(nlohmann::json::parse(to_json(state).dump()));
  EXPECT_EQ(again.losses, state.losses);
  EXPECT_EQ(again.grad_norms, state.grad_norms);
  EXPECT_EQ(again.applied, state.applied);
  EXPECT_EQ(again.skipped_in_a_row, state.skipped_in_a_row);
}

}  // namespace
}  // namespace longhaul::train
