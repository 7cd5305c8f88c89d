// The resolved run file, its JSON and its hash.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "config/options.h"
#include "config/resolve.h"
#include "files/examples.h"
#include "tests/source_tree.h"

namespace longhaul::config {
namespace {

ResolvedConfig small(const Overrides& sets = {}) {
  return resolve_text("[run]\nsteps = 100\n[model]\nlayers = 2\nwidth = 64\nheads = 4\nvocab = 256\n", "run.toml", "/somewhere", sets);
}

std::string all_values(const RunConfig& config) {
  std::string text;
  for (const Option& option : options()) text += option.name() + " = " + to_text(option, config) + "\n";
  return text;
}

class Write : public ::testing::Test {
 protected:
  void SetUp() override { setenv("LONGHAUL_EXAMPLES", source_tree("examples").c_str(), 1); }
};

TEST_F(Write, TheResolvedFileReadsBackToTheSameRun) {
  std::vector<ResolvedConfig> runs = {small(),
                                      small({"run.directory=a\"\\b", "run.tokens=12345", "schedule.kind=wsd", "optimizer.clip_norm=inf",
                                             "optimizer.learning_rate=0.1", "checkpoint.every=90 s", "guards.state_hash_every=never"}),
                                      small({"parallel.dp=4", "parallel.virtual=2", "parallel.shard=2", "parallel.stages=1+1"})};
  for (const std::string& name : files::example_names("models")) runs.push_back(resolve_model(name));
  for (const ResolvedConfig& run : runs) {
    for (const bool with_origins : {false, true}) {
      const ResolvedConfig again = resolve_text(to_toml(run, with_origins), "resolved.toml", "/elsewhere");
      EXPECT_EQ(all_values(again.config), all_values(run.config)) << run.label;
      EXPECT_EQ(config_hash(again.config), config_hash(run.config)) << run.label;
      EXPECT_EQ(to_toml(again, false), to_toml(run, false));
    }
  }
}

TEST_F(Write, EachLineSaysWhereItsValueCameFrom) {
  const std::string text = to_toml(small({"run.seed=7"}), true);
  EXPECT_NE(text.find("seed = 7                                    # --set\n"), std::string::npos) << text;
  EXPECT_NE(text.find("layers = 2                                  # run.toml:4\n"), std::string::npos) << text;
  EXPECT_NE(text.find("# computed: heads\n"), std::string::npos) << text;
}

TEST_F(Write, TheHashCoversWhatReachesABitAndNothingElse) {
  const std::string hash = config_hash(small().config);
  EXPECT_EQ(hash.size(), 64U);
  for (const char* free : {"run.threads=2",           "run.directory=x",     "run.family=avx2",
                           "data.directory=y",        "batch.micro_batch=1", "parallel.recompute=layer",
                           "parallel.dp=8",           "parallel.tp=2",       "parallel.pp=2",
                           "parallel.cp=2",           "parallel.ep=2",       "parallel.zero=1",
                           "parallel.shard=2",        "parallel.virtual=2",  "parallel.sp=1",
                           "parallel.schedule=zb-h1", "parallel.stages=1+1", "checkpoint.every=1 step",
                           "checkpoint.keep_last=9",  "log.every=never",     "validation.batch=3"}) {
    EXPECT_EQ(config_hash(small({free}).config), hash) << free;
  }
  RunConfig renamed = small().config;
  renamed.model.name = "other";
  EXPECT_EQ(config_hash(renamed), hash) << "a label";
  for (const char* bound : {"run.seed=1", "run.steps=101", "model.layers=3", "data.isolate_documents=false", "batch.sequence_length=512",
                            "batch.global_batch=16", "batch.virtual_ranks=2", "optimizer.beta2=0.9", "schedule.kind=linear",
                            "schedule.warmup_steps=3", "precision.dtype=fp32", "validation.every=7 steps", "guards.loss_skip_ratio=9",
                            "guards.state_hash_every=3 steps", "run.overfit_one_batch=true"}) {
    EXPECT_NE(config_hash(small({bound}).config), hash) << bound;
  }
}

TEST_F(Write, AConstantScheduleMayBeTrainedOn) {
  const Overrides constant = {"schedule.kind=constant", "schedule.warmup_steps=10"};
  Overrides longer = constant;
  longer.push_back("run.steps=200");
  EXPECT_EQ(config_hash(small(constant).config), config_hash(small(longer).config));
}

TEST_F(Write, JsonHoldsValuesOriginsAndTheHash) {
  const ResolvedConfig run = small();
  const auto document = nlohmann::json::parse(to_json(run));
  EXPECT_EQ(document["model"]["layers"]["value"], 2);
  EXPECT_EQ(document["model"]["layers"]["origin"], "run.toml:4");
  EXPECT_EQ(document["precision"]["dtype"]["value"], "bf16");
  EXPECT_EQ(document["checkpoint"]["every"]["value"], "10 min");
  EXPECT_EQ(document["config_hash"], config_hash(run.config));
}

}  // namespace
}  // namespace longhaul::config
