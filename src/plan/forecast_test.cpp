#include "plan/forecast.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

namespace longhaul::plan {
namespace {

/// Two stages and one micro-batch: the last rank, which has the logits, is fuller than the first.
Forecast fuller_at_the_end(const char* framework) {
  cost::RunShape run;
  run.model = model::with_usual_values(
      {.layers = 16, .width = 2048, .heads = 32, .kv_heads = 8, .ffn_width = 8192, .vocab = 131072, .mlp = model::MlpKind::swiglu});
  run.layout = program::parse_layout("dp=4,pp=2");
  run.sequence_length = 4096, run.global_batch = 16, run.micro_batch = 4;
  run.framework = framework;
  JobFacts facts;
  facts.tokens = Tokens(1'000'000'000);
  return forecast(cluster::find_cluster("h100x8"), run, facts, cost::shipped_calibration());
}

// Errors of memory were measured of what frameworks report: nanotron the first rank's peak, the others the fullest's.
TEST(Forecast, IntervalOfMemoryIsOfTheFigureThatIsReported) {
  for (const auto& [framework, stage] : {std::pair{"nanotron", 0}, std::pair{"megatron-lm", 1}}) {
    const Forecast plan = fuller_at_the_end(framework);
    ASSERT_EQ(plan.memory.fullest, 1) << framework;
    EXPECT_EQ(plan.memory.reporting, stage);
    const double reported = plan.memory.stages[static_cast<std::size_t>(stage)].total();
    ASSERT_TRUE(plan.memory_interval) << framework;
    bool of_its_kind = false;
    for (const cost::Calibration::Residuals& r : cost::shipped_calibration().memory)
      if (r.kind == plan.memory_interval->kind)
        of_its_kind = std::abs(plan.memory_interval->high / (reported * std::exp(r.high)) - 1) < 1e-12;
    EXPECT_TRUE(of_its_kind) << framework;
    const nlohmann::json memory = to_json(plan).at("memory");
    EXPECT_EQ(memory.at("reporting_stage"), stage);
    EXPECT_DOUBLE_EQ(memory.at("reported_bytes").get<double>(), reported);
    // The text names the rank where it is not the fullest.
    EXPECT_EQ(to_text(plan).find("by nanotron, the peak of stage 0; 80 %") != std::string::npos, stage == 0);
  }
}

}  // namespace
}  // namespace longhaul::plan
