#include "evidence/score.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "evidence/predict.h"

namespace longhaul::evidence {
namespace {

ScoredRun timed(double predicted, double measured, bool seen = false) {
  ScoredRun run;
  run.family = "a", run.id = "a-" + std::to_string(static_cast<int>(predicted)), run.seen = seen;
  run.seconds = predicted, run.measured_seconds = measured;
  return run;
}

ScoredRun judged(bool predicted, bool was) {
  ScoredRun run;
  run.family = "a", run.fits = predicted, run.measured_fits = was;
  return run;
}

TEST(ErrorSummary, IsOfPercentagesOfTheMeasured) {
  const std::vector<ScoredRun> runs{timed(110, 100), timed(80, 100), timed(101, 100), timed(100, 50, true)};
  const ErrorSummary errors = summarize_errors(runs, false, false);
  EXPECT_EQ(errors.rows, 3U);
  EXPECT_NEAR(errors.bias, 1, 1e-9);
  EXPECT_NEAR(errors.median_abs, 10, 1e-9);
  EXPECT_NEAR(errors.mean_abs, 31.0 / 3, 1e-9);
  EXPECT_NEAR(errors.p90_abs, 18, 1e-9);
  EXPECT_NEAR(errors.worst_abs, 20, 1e-9);
  EXPECT_EQ(errors.worst_id, "a-80");
  EXPECT_NEAR(summarize_errors(runs, true, false).median_abs, 100, 1e-9);  // rows that a fit has seen, apart
  EXPECT_EQ(summarize_errors(runs, false, true).rows, 0U);
}

TEST(ErrorSummary, SaysHowManyAnIntervalHolds) {
  std::vector<ScoredRun> runs{timed(100, 104), timed(100, 115), timed(100, 99), timed(100, 50)};
  for (std::size_t i = 0; i < 3; ++i) runs[i].seconds_interval = Interval{90, 110, "", 20};
  const ErrorSummary errors = summarize_errors(runs, false, false);
  EXPECT_EQ(errors.intervals, 3U);
  EXPECT_NEAR(errors.covered, 200.0 / 3, 1e-9);
  EXPECT_NEAR(errors.half_width, 10, 1e-9);
}

TEST(FitSummary, CountsBothClasses) {
  // Of "fits": 2 right, 1 false alarm, 1 missed; of "does not fit": 1 right.
  const FitSummary fit =
      summarize_fits({judged(true, true), judged(true, true), judged(true, false), judged(false, true), judged(false, false)}, false);
  EXPECT_EQ(fit.rows, 5U);
  EXPECT_DOUBLE_EQ(*fit.precision, 2.0 / 3);
  EXPECT_DOUBLE_EQ(*fit.recall, 2.0 / 3);
  EXPECT_DOUBLE_EQ(*fit.f1, 2.0 / 3);
  EXPECT_DOUBLE_EQ(*fit.f1_not, 0.5);
  EXPECT_FALSE(summarize_fits({}, false).f1);
}

// What a failed run left behind is no step's time or peak; whether it fits is judged of it all the same.
TEST(Score, OfAFailedRunIsOfFitsAlone) {
  MeasuredRun run;
  run.family = "a";
  run.shape.model = model::with_usual_values({.layers = 32, .width = 4096, .heads = 32, .vocab = 32000});
  run.shape.sequence_length = 2048, run.shape.global_batch = 8;
  run.shape.framework = "megatron-lm", run.shape.accelerator = "h100";
  run.step_seconds = 1, run.memory_bytes = 80e9;
  Predictor predict(cost::shipped_calibration());
  for (const std::optional<bool> fits : {std::optional(false), std::optional(true), std::optional<bool>()}) {
    run.fits = fits;
    const Score score = score_rows({predict(run)}, false);
    const std::size_t counted = fits == false ? 0 : 1;
    EXPECT_EQ(score.time.rows, counted);
    EXPECT_EQ(score.memory.rows, counted);
    EXPECT_EQ(score.fit.rows, fits ? 1U : 0U);
  }
}

TEST(Score, GroupsByFamilyAndSaysWhatWasSkipped) {
  ScoredRun skipped;
  skipped.family = "b", skipped.skipped = "no heads";
  const std::vector<FamilyScore> families = score({timed(1, 1), skipped, skipped});
  ASSERT_EQ(families.size(), 2U);
  EXPECT_EQ(families[0].unseen.time.rows, 1U);
  EXPECT_EQ(families[1].rows, 2U);
  EXPECT_EQ(families[1].skipped.at("no heads"), 2U);
}

TEST(Score, AsJsonHasTheDocumentedKeys) {
  const nlohmann::json out = to_json(score({timed(110, 100), judged(true, true)}), {});
  const nlohmann::json& family = out.at("families").at(0);
  EXPECT_EQ(family.at("family"), "a");
  for (const char* part : {"time", "memory"})
    for (const char* key : {"rows", "median_abs_pct", "mean_abs_pct", "p90_abs_pct", "worst_abs_pct", "bias_pct"})
      EXPECT_TRUE(family.at(part).contains(key)) << part << ' ' << key;
  EXPECT_NEAR(family.at("time").at("median_abs_pct").get<double>(), 10, 1e-9);
  EXPECT_TRUE(family.at("memory").at("median_abs_pct").is_null());
  EXPECT_EQ(family.at("fit").at("f1"), 1.0);
}

}  // namespace
}  // namespace longhaul::evidence
