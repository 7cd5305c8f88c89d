// Budgets to models: serving, shapes, hyper-parameters, and a cluster walked.
#include "plan/budget/scale.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cluster/catalogue.h"
#include "plan/forecast.h"
#include "scaling/law_file.h"
#include "units/error.h"

namespace longhaul::plan {
namespace {

ScaleRequest request_of(double flops) {
  ScaleRequest request;
  request.laws = scaling::published_laws();
  request.chosen = request.surface = scaling::find_law("epoch-2024");
  request.flops = flops;
  return request;
}

TEST(Scale, ABudgetOfFlops) {
  const ScaleResult result = scale(request_of(1e21));
  EXPECT_EQ(result.laws.size(), scaling::published_laws().size());
  for (const LawAdvice& row : result.laws) {
    if (row.law.id == "twenty-tokens-per-parameter") {
      EXPECT_NEAR(row.advice.at.parameters, 2.887e9, 1e6);
    }
    if (row.loss_by_surface) {
      EXPECT_GE(*row.loss_by_surface, *result.laws.front().loss_by_surface * 0.9);
    }
  }
  ASSERT_TRUE(result.suggestion.model);
  EXPECT_NEAR(result.suggestion.at.flops() / 1e21, 1, 1e-9);
  EXPECT_NEAR(result.suggestion.at.parameters / result.suggestion.wanted.parameters, 1, 0.05);
  const nlohmann::json json = to_json(result);
  EXPECT_EQ(json["suggestion"]["counted_parameters"], model::count_params(*result.suggestion.model).total.value);
  EXPECT_FALSE(to_text(result).empty());
}

TEST(Scale, Warnings) {
  ScaleRequest request = request_of(1e26);
  request.unique_tokens = Tokens(1'000'000'000'000);
  const ScaleResult result = scale(request);
  std::string all;
  for (const std::string& warning : result.warnings) all += warning + "\n";
  EXPECT_NE(all.find("extrapolation"), std::string::npos) << all;
  EXPECT_NE(all.find("epochs"), std::string::npos) << all;
  // Ends of what a budget may be: no shape, but an answer.
  for (const double flops : {1e12, 1e32}) {
    const ScaleResult far = scale(request_of(flops));
    EXPECT_FALSE(far.suggestion.model);
    EXPECT_FALSE(far.warnings.empty());
  }
}

TEST(Scale, AClustersTimeChoosesTheShape) {
  const cost::Calibration calibration = cost::shipped_calibration();
  ScaleRequest request = request_of(0);
  request.flops.reset();
  request.device_hours = 64 * 24 * 7;
  cost::RunShape base;
  base.sequence_length = 4096, base.global_batch = 256, base.framework = "megatron-lm";
  place(base, cluster::find_cluster("h100x64"));
  request.base = base, request.calibration = &calibration, request.device_memory = 80e9;
  const ScaleResult result = scale(request);
  ASSERT_TRUE(result.best);
  const Walked& best = result.walked[*result.best];
  for (const Walked& w : result.walked) {
    if (!w.run) continue;
    EXPECT_GE(w.loss, best.loss);
    EXPECT_GT(w.mfu, 0.05);
    EXPECT_LT(w.mfu, 0.8);
    EXPECT_NEAR(w.device_hours / *request.device_hours, 1, 1e-9);
    EXPECT_NEAR(w.at.tokens / (w.tokens_per_s * 7 * 86400), 1, 1e-9);
  }
  // Not at an end of the family: the family was wide enough.
  EXPECT_GT(*result.best, 0u);
  EXPECT_LT(*result.best, result.walked.size() - 1);
  EXPECT_NEAR(result.flops / best.at.flops(), 1, 1e-12);
}

}  // namespace
}  // namespace longhaul::plan
