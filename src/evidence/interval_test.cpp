#include "evidence/interval.h"

#include <gtest/gtest.h>

#include <cmath>

namespace longhaul::evidence {
namespace {

std::vector<Residual> spread(const std::string& kind, int count, double from, double to) {
  std::vector<Residual> out;
  for (int i = 0; i < count; ++i) out.push_back({{kind, "calibrated"}, from + (to - from) * i / (count - 1)});
  return out;
}

TEST(Interval, IsTheShortestThatHoldsFourFifths) {
  // 90 errors between −1 and +1 %, ten far off on one side: the interval leaves those out.
  std::vector<Residual> residuals = spread("a", 90, -0.01, 0.01);
  for (const Residual& far : spread("a", 10, 0.5, 0.9)) residuals.push_back(far);
  const auto known = summarize(residuals);
  ASSERT_EQ(known.size(), 2U);
  EXPECT_EQ(known[0].rows, 100U);
  EXPECT_GE(known[0].low, -0.01);
  EXPECT_LE(known[0].high, 0.01);
  int inside = 0;
  for (const Residual& r : residuals) inside += known[0].low <= r.log_ratio && r.log_ratio <= known[0].high;
  EXPECT_GE(inside, 80);
  EXPECT_LE(inside, 84);
}

TEST(Interval, TakesTheNarrowestKindWithEnoughRuns) {
  std::vector<Residual> residuals = spread("many", 50, -0.1, 0.1);
  for (const Residual& r : spread("few", static_cast<int>(kFewestRows) - 1, -0.001, 0.001)) residuals.push_back(r);
  const auto known = summarize(residuals);
  const auto few = interval(10, {"few", "calibrated"}, known), many = interval(10, {"many", "calibrated"}, known);
  ASSERT_TRUE(few && many);
  EXPECT_EQ(few->kind, "calibrated");
  EXPECT_EQ(few->rows, 50 + kFewestRows - 1);
  EXPECT_EQ(many->kind, "many");
  EXPECT_TRUE(many->contains(10));
  EXPECT_NEAR(std::log(many->high / many->low), 0.2 * 41 / 49, 1e-9);  // 42 of 50
  EXPECT_FALSE(interval(10, {"uncalibrated"}, known));
}

TEST(Interval, KindsGoFromNarrowToWide) {
  cost::RunShape run;
  run.model = model::with_usual_values({.layers = 24, .width = 2048, .heads = 16, .vocab = 51200});
  run.framework = "megatron-lm", run.accelerator = "a100", run.devices = 16, run.layout.dp = 16;
  run.sequence_length = 2048, run.global_batch = 16;
  cost::StepEstimate step;
  step.layer.device = 4, step.layer.launch = 1;
  EXPECT_EQ(time_kinds(run, step),
            (std::vector<std::string>{"megatron-lm a100 network, tp inside a node, pace +4", "megatron-lm a100 network, tp inside a node",
                                      "megatron-lm a100 network", "megatron-lm", "calibrated"}));
  step.calibrated = false;
  EXPECT_EQ(time_kinds(run, step).back(), "uncalibrated");
}

}  // namespace
}  // namespace longhaul::evidence
