#include "train/changes.h"

#include <gtest/gtest.h>

#include <string>

#include "config/resolve.h"
#include "train/test_support.h"
#include "units/error.h"

namespace longhaul::train {
namespace {

checkpoint::RunIdentity identity_of_sets(const config::Overrides& sets) {
  const config::RunConfig config = small_run(sets);
  return {config::config_hash(config), config::config_hash_text(config), "dp2"};
}

/// The changes from one set of overrides to another after `step` steps; a text that begins with "refused" where that is another run.
std::string changed(const config::Overrides& before, const config::Overrides& now, std::int64_t step = 4) {
  try {
    std::string text;
    for (const ledger::Change& change :
         changes_since(identity_of_sets(before), identity_of_sets(now), small_resolved_run(now), {step, 0, "run/checkpoints/step"}))
      text += change.option + ": " + change.before + " -> " + change.now + "; ";
    return text;
  } catch (const CheckpointError& error) {
    return std::string("refused: ") + error.what();
  }
}

TEST(Changes, OfWhatReachesNoBitAreNone) {
  EXPECT_EQ(changed({}, {"run.threads=1", "log.every=5 steps", "batch.micro_batch=1", "batch.virtual_ranks=4", "parallel.recompute=layer"}),
            "");
}

TEST(Changes, OfGuardsAndCadencesAreRecorded) {
  EXPECT_EQ(changed({}, {"guards.window=50", "validation.every=7 steps", "log.tensors_every=never"}),
            "guards.window: 100 -> 50; log.tensors_every: \"100 steps\" -> \"never\"; validation.every: \"250 steps\" -> \"7 steps\"; ");
}

TEST(Changes, OfAnythingElseNeedABranch) {
  for (const char* set : {"optimizer.learning_rate=1e-4", "run.seed=2", "batch.global_batch=16", "optimizer.clip_norm=2", "model.layers=3",
                          "data.isolate_documents=false", "data.end_of_text_loss=false"}) {
    const std::string text = changed({}, {set, "batch.virtual_ranks=4"});
    const std::string key = std::string(set).substr(0, std::string(set).find('='));
    EXPECT_TRUE(text.starts_with("refused") && text.find(key + ": checkpoint ") != std::string::npos) << text;
    EXPECT_NE(text.find("--branch-from /unused"), std::string::npos) << text;
  }
}

TEST(Changes, OfWhatTheUserDidNotSetAreNamedOnlyWhereNothingElseDiffers) {
  const std::string batch = changed({}, {"batch.global_batch=2"});
  EXPECT_NE(batch.find("batch.global_batch: checkpoint 8, run 2."), std::string::npos) << "V is 1 now, which follows: " << batch;
  const std::string kind = changed({"schedule.kind=constant"}, {"schedule.kind=cosine"});
  EXPECT_NE(kind.find("schedule.kind: checkpoint \"constant\", run \"cosine\". Restore"), std::string::npos) << kind;
  const std::string dtype = changed({}, {"precision.dtype=fp32"});
  EXPECT_NE(dtype.find("precision.dtype: checkpoint \"bf16\", run \"fp32\". Restore"), std::string::npos) << dtype;
  const std::string alone = changed({"batch.virtual_ranks=2"}, {});
  EXPECT_NE(alone.find("batch.virtual_ranks: checkpoint 2, run 4"), std::string::npos) << alone;
}

TEST(Changes, OfTheLengthDependOnTheScheduleSoFar) {
  const auto grown = [](const std::string& kind, std::int64_t step, const std::string& steps = "80") {
    const config::Overrides base = {"schedule.kind=" + kind, "schedule.warmup_steps=2", "run.steps=40"};
    config::Overrides now = base;
    now.back() = "run.steps=" + steps;
    return changed(base, now, step);
  };
  EXPECT_EQ(grown("constant", 30), "") << "the length is no part of such a run";
  EXPECT_EQ(grown("wsd", 33), "run.steps: 40 -> 80; ") << "the tail begins at step 32 with the peak";
  EXPECT_NE(grown("wsd", 40).find("differs after step 33;"), std::string::npos) << grown("wsd", 40);
  EXPECT_TRUE(grown("wsd", 34).starts_with("refused"));
  EXPECT_EQ(grown("wsd", 10, "15"), "run.steps: 40 -> 15; ") << "shorter, the tail still ahead";
  EXPECT_TRUE(grown("wsd", 14, "15").starts_with("refused"));
  EXPECT_TRUE(grown("wsd", 30, "20").find("step 30 is done already") != std::string::npos);
  EXPECT_EQ(grown("cosine", 2), "run.steps: 40 -> 80; ") << "only the warm-up is done";
  EXPECT_TRUE(grown("cosine", 4).starts_with("refused"));
}

}  // namespace
}  // namespace longhaul::train
