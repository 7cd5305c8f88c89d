#include "evidence/fit.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "cost/memory.h"
#include "cost/step.h"
#include "evidence/fit_usable.h"
#include "tests/source_tree.h"

namespace longhaul::evidence {
namespace {

/// Runs that the model itself made, with two of its parameters set elsewhere.
std::vector<MeasuredRun> planted(const cost::Calibration& truth) {
  std::vector<MeasuredRun> runs;
  for (const std::int64_t width : {2048, 4096, 6144})
    for (const int tp : {1, 2, 4})
      for (const std::int64_t micro_batch : {1, 4}) {
        MeasuredRun run;
        run.id = std::to_string(width) + "-" + std::to_string(tp) + "-" + std::to_string(micro_batch);
        run.family = "planted";
        cost::RunShape& s = run.shape;
        s.model.layers = 24, s.model.width = width, s.model.heads = width / 128, s.model.kv_heads = s.model.heads, s.model.head_dim = 128;
        s.model.ffn_width = 4 * width, s.model.vocab = 51200, s.model.tied_embeddings = true;
        s.model.norm = model::NormKind::layer_norm, s.model.position = model::PositionKind::learned, s.model.position_rows = 2048;
        s.model.mlp = model::MlpKind::gelu, s.model.norm_bias = s.model.qkv_bias = s.model.output_bias = s.model.mlp_bias = true;
        s.layout.tp = tp, s.layout.pp = 2, s.layout.dp = 8 / tp / 2 > 0 ? 8 / tp / 2 : 1;
        s.devices = s.layout.world(), s.sequence_length = 2048, s.micro_batch = micro_batch;
        s.global_batch = 32 * micro_batch * s.layout.dp;
        s.precision = cost::Precision::fp16, s.flash_attention = false, s.framework = "megatron-deepspeed", s.accelerator = "a100";
        run.step_seconds = cost::estimate_step(s, truth).seconds;
        run.fits = true;
        runs.push_back(run);
      }
  return runs;
}

cost::Parameter& parameter(cost::Calibration& calibration, const std::string& name) {
  for (auto& [id, value] : calibration.parameters)
    if (id.first == name && id.second.accelerator == "a100" && id.second.framework.starts_with("megatron") && value.spread > 0)
      return value;
  throw std::logic_error("no fitted parameter " + name);
}

TEST(Fit, FindsPlantedParameters) {
  cost::Calibration start = cost::shipped_calibration();
  start.seen_rows.clear();  // a fit adds its rows to those seen before
  cost::Calibration truth = start;
  parameter(truth, "time.gemm_efficiency").value *= 0.93;
  const std::vector<MeasuredRun> runs = planted(truth);
  FitOptions options;
  options.scale = 0.003;  // without noise the rows may be believed
  cost::Calibration fitted = fit(start, runs, options);
  for (const MeasuredRun& run : runs) EXPECT_TRUE(fitted.seen_rows.contains(run.id)) << run.id;
  double worst = 0;
  for (const MeasuredRun& run : runs)
    worst = std::max(worst, std::abs(std::log(cost::estimate_step(run.shape, fitted).seconds / *run.step_seconds)));
  EXPECT_LT(worst, 0.01);
  EXPECT_NEAR(parameter(fitted, "time.gemm_efficiency").value / parameter(truth, "time.gemm_efficiency").value, 1, 0.03);
}

TEST(Fit, FindsThePlantedShareOfADevice) {
  cost::Calibration truth = cost::shipped_calibration();
  const auto id = std::pair{std::string("fit.usable_share"), cost::ParameterKey{"*", "*", "nanotron", "*"}};
  truth.parameters.at(id).value = truth.parameters.at(id).prior * 0.95;
  std::vector<MeasuredRun> runs;
  for (std::int64_t layers = 1; layers < 60; ++layers) {
    MeasuredRun run;
    run.shape.model = model::with_usual_values({.layers = layers, .width = 4096, .heads = 32, .vocab = 32000});
    run.shape.sequence_length = 2048, run.shape.global_batch = 8, run.shape.layout.dp = 8, run.shape.devices = 8;
    run.shape.framework = "nanotron", run.shape.accelerator = "h100";
    run.fits = cost::judge_fit(run.shape, truth, 80e9).fits;
    runs.push_back(run);
  }
  cost::Calibration found = at_priors(truth);
  fit_usable_share(found, runs);
  for (const MeasuredRun& run : runs) EXPECT_EQ(cost::judge_fit(run.shape, found, 80e9).fits, run.fits) << run.shape.model.layers;
  const double share = found.parameters.at(id).value;
  EXPECT_LT(share, found.parameters.at(id).prior);
  EXPECT_EQ(share, std::round(share * 1e4) / 1e4) << "four digits, as of every fitted parameter";
}

TEST(Fit, FoldsAreTheIdsOwnAndLeaveNothingSeen) {
  std::set<int> folds;
  for (int i = 0; i < 200; ++i) folds.insert(fold_of("row-" + std::to_string(i), 5));
  EXPECT_EQ(folds, (std::set<int>{0, 1, 2, 3, 4}));
  // SHA-256("abc") = ba7816bf … 20015ad, as one number modulo 5.
  EXPECT_EQ(fold_of("abc", 5), 0);
  const cost::Calibration start = cost::shipped_calibration();
  const std::vector<MeasuredRun> runs = planted(start);
  FitOptions quick;
  quick.evaluations = 2;
  const std::vector<ScoredRun> scored = cross_validate(start, runs, 3, quick);
  ASSERT_EQ(scored.size(), runs.size());
  for (const ScoredRun& row : scored) {
    EXPECT_FALSE(row.seen) << row.id;
    EXPECT_TRUE(row.seconds) << row.id << row.skipped;
  }
}

// No parameter may belong to a row, a model or a family of rows: only to hardware, link, software and dtype.
TEST(ShippedCalibration, KeysAreHardwareLinkSoftwareAndDtype) {
  const std::set<std::string> dtypes{"*", "bf16", "fp16", "fp8"};
  for (const auto& [id, value] : cost::shipped_calibration().parameters) {
    EXPECT_TRUE(dtypes.contains(id.second.dtype)) << id.first << " " << id.second.dtype;
    for (const std::string& part : {id.second.accelerator, id.second.framework, id.second.link})
      for (const char* forbidden : {"vtrain", "playbook", "bloom", "sc21", "korthikanti", "simumax", "gpt", "llama", "mpt"})
        EXPECT_EQ(part.find(forbidden), std::string::npos) << id.first << " " << part;
    EXPECT_FALSE(value.meaning.empty()) << id.first;
  }
}

// At most 15 fitted parameters reach the time of a family's rows.
TEST(ShippedCalibration, FamiliesHaveFewParameters) {
  std::map<std::string, std::vector<MeasuredRun>> families;
  for (MeasuredRun& run : read_runs(std::filesystem::path(source_tree("tests/golden/runs.csv"))).rows)
    if (run.skipped.empty() && run.step_seconds) families[run.family].push_back(std::move(run));
  EXPECT_EQ(families.size(), 9u);
  const cost::Calibration calibration = cost::shipped_calibration();
  for (const auto& [family, runs] : families) {
    std::set<std::string> moving;
    for (std::size_t r = 0; r < runs.size(); r += 1 + runs.size() / 20) {
      const double seconds = cost::estimate_step(runs[r].shape, calibration).seconds;
      for (const auto& [id, value] : calibration.parameters) {
        if (value.spread <= 0 || !id.first.starts_with("time.")) continue;
        cost::Calibration nudged;  // one parameter more, of the same key: what the row would look up
        nudged.parameters = calibration.parameters;
        nudged.parameters.at(id).value *= 1.05;
        if (cost::estimate_step(runs[r].shape, nudged).seconds != seconds)
          moving.insert(id.first + id.second.accelerator + id.second.link + id.second.framework + id.second.dtype);
      }
    }
    std::string names;
    for (const std::string& name : moving) names += "\n  " + name;
    EXPECT_LE(moving.size(), 15u) << family << names;
    EXPECT_GE(moving.size(), 3u) << family;
  }
}

}  // namespace
}  // namespace longhaul::evidence
