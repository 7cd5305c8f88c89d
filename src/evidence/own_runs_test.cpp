#include "evidence/own_runs.h"

#include <gtest/gtest.h>

#include <cmath>

#include "cost/memory.h"
#include "cost/step.h"
#include "evidence/interval.h"
#include "tests/source_tree.h"
#include "units/testing.h"

namespace longhaul::evidence {
namespace {

const cost::Calibration& shipped() {
  static const cost::Calibration calibration = cost::read_calibration(source_tree("examples/calibration"));
  return calibration;
}

/// Runs of a cluster whose products reach 0.8 of what the calibration says and whose launches take 1.5 times as long.
cost::RunShape shape(std::int64_t width, int tp, int micro_batch, int devices) {
  cost::RunShape s;
  s.model = model::with_usual_values({.layers = 32, .width = width, .heads = width / 128, .vocab = 32000});
  s.layout.tp = tp, s.layout.dp = devices / tp, s.layout.zero = 1;
  s.devices = devices, s.sequence_length = 4096, s.micro_batch = micro_batch, s.global_batch = 64L * devices / tp;
  s.framework = "nanotron", s.accelerator = "h100";
  return s;
}
cost::Calibration truth() {
  cost::Calibration out = shipped();
  for (auto& [id, parameter] : out.parameters) {
    if (id.first == "time.gemm_efficiency" && id.second.accelerator == "h100" && id.second.framework == "nanotron") parameter.value *= 0.8;
    if (id.first.starts_with("time.launch_") && id.second.framework == "nanotron" && parameter.unit == "s") parameter.value *= 1.5;
  }
  return out;
}
MeasuredRun measured(const cost::RunShape& shape, const std::string& id) {
  MeasuredRun out;
  out.id = id, out.shape = shape, out.fits = true;
  out.step_seconds = cost::estimate_step(shape, truth()).seconds;
  return out;
}

TEST(OwnRuns, AFewOfThemMakeAnUnseenOnePredictable) {
  std::vector<MeasuredRun> rows;
  int i = 0;
  for (const std::int64_t width : {2048, 4096})
    for (const int tp : {1, 2})
      for (const int micro_batch : {1, 4}) rows.push_back(measured(shape(width, tp, micro_batch, 8), "run-" + std::to_string(i++)));
  const OwnRuns own = fit_own_runs(shipped(), rows);
  ASSERT_EQ(own.left_out.size(), rows.size());
  const auto worst = [&](const std::vector<ScoredRun>& scored) {
    double out = 0;
    for (const ScoredRun& row : scored) out = std::max(out, std::abs(std::log(*row.seconds / *row.measured_seconds)));
    return out;
  };
  EXPECT_GT(worst(own.before), 0.1);
  EXPECT_LT(worst(own.after), 0.03);
  // The one run whose pace its launches set: without it nothing says that they are slow, and the table shows it.
  std::vector<ScoredRun> left_out = own.left_out;
  left_out.erase(left_out.begin() + 2);
  EXPECT_LT(worst(left_out), 0.05);
  EXPECT_GT(worst({own.left_out[2]}), 0.1);
  const cost::RunShape unseen = shape(8192, 4, 2, 8);
  const double was = cost::estimate_step(unseen, truth()).seconds;
  EXPECT_GT(std::abs(cost::estimate_step(unseen, shipped()).seconds / was - 1), 0.1);
  EXPECT_LT(std::abs(cost::estimate_step(unseen, own.calibration).seconds / was - 1), 0.04);
  // Nobody else's parameters moved.
  cost::RunShape elsewhere = unseen;
  elsewhere.framework = "megatron-lm";
  EXPECT_EQ(cost::estimate_step(elsewhere, own.calibration).seconds, cost::estimate_step(elsewhere, shipped()).seconds);
  EXPECT_NE(to_text(own).find("median absolute error"), std::string::npos);
}

TEST(OwnRuns, CalibratesHardwareThatNoRunWasMeasuredOn) {
  cost::RunShape run = shape(4096, 1, 2, 8);
  run.framework = "my-trainer", run.accelerator = "mi300x";
  ASSERT_FALSE(cost::estimate_step(run, shipped()).calibrated);
  MeasuredRun row;
  row.id = "mine", row.shape = run, row.fits = true;
  row.step_seconds = 1.4 * cost::estimate_step(run, shipped()).seconds;
  const OwnRuns own = fit_own_runs(shipped(), std::vector{row, row, row});
  const cost::StepEstimate after = cost::estimate_step(run, own.calibration);
  EXPECT_TRUE(after.calibrated);
  EXPECT_NEAR(after.seconds / *row.step_seconds, 1, 0.1);
}

TEST(OwnRuns, CalibrateOnlyWhatTheyMeasured) {
  cost::RunShape run = shape(4096, 1, 2, 8);
  run.framework = "megatron-lm", run.accelerator = "mi300x";
  const cost::StepEstimate before = cost::estimate_step(run, shipped());
  ASSERT_FALSE(memory_calibrated(run, before, shipped()));
  MeasuredRun row;
  row.id = "mine", row.shape = run, row.fits = true;
  row.step_seconds = 1.4 * before.seconds;
  const cost::Calibration timed = fit_own_runs(shipped(), std::vector{row, row, row}).calibration;
  const cost::StepEstimate after = cost::estimate_step(run, timed);
  EXPECT_TRUE(after.calibrated);
  EXPECT_FALSE(memory_calibrated(run, after, timed));
  EXPECT_EQ(memory_kinds(run, after, timed), memory_kinds(run, before, shipped()));
  row.memory_bytes = 1.1 * cost::estimate_memory(run, shipped(), {before.layer.launch_ratio(), before.stalled}).reported();
  const cost::Calibration both = fit_own_runs(shipped(), std::vector{row, row, row}).calibration;
  EXPECT_TRUE(memory_calibrated(run, cost::estimate_step(run, both), both));
  row.step_seconds.reset();
  const cost::Calibration weighed = fit_own_runs(shipped(), std::vector{row, row, row}).calibration;
  const cost::StepEstimate still = cost::estimate_step(run, weighed);
  EXPECT_FALSE(still.calibrated);
  EXPECT_TRUE(memory_calibrated(run, still, weighed));
}

// Three runs are no kind: their interval holds that of the runs it would rest on without them.
TEST(OwnRuns, FewDoNotNarrowTheInterval) {
  cost::RunShape run = shape(4096, 1, 2, 8);
  run.framework = "my-trainer", run.accelerator = "mi300x";
  MeasuredRun row;
  row.id = "mine", row.shape = run, row.fits = true;
  row.step_seconds = 1.4 * cost::estimate_step(run, shipped()).seconds;
  std::vector<MeasuredRun> rows{row, row, row};
  *rows[2].step_seconds *= 3;  // the other two do not foresee it
  const OwnRuns own = fit_own_runs(shipped(), rows);
  const auto base = interval(1, {"calibrated"}, shipped().time);
  const auto given = interval(1, time_kinds(run, cost::estimate_step(run, own.calibration)), own.calibration.time);
  ASSERT_TRUE(base && given);
  EXPECT_LE(given->low, base->low);
  EXPECT_GE(given->high, *rows[2].step_seconds / *own.left_out[2].seconds);
  EXPECT_EQ(given->rows, base->rows);
  EXPECT_EQ(given->kind, "calibrated, widened to the errors of 3 own");
}

TEST(OwnRuns, SaysWhyNothingCanBeFitted) {
  MeasuredRun row;
  row.id = "a", row.skipped = "no layers";
  const std::string said = longhaul::testing::usage_error([&] { (void)fit_own_runs(shipped(), std::vector{row}); });
  EXPECT_NE(said.find("at least 3 are needed"), std::string::npos);
  EXPECT_NE(said.find("a: no layers"), std::string::npos);
}

}  // namespace
}  // namespace longhaul::evidence
