#include "plan/search.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/source_tree.h"
#include "units/testing.h"

namespace longhaul::plan {
namespace {

const cost::Calibration& shipped() {
  static const cost::Calibration calibration = cost::read_calibration(source_tree("examples/calibration"));
  return calibration;
}

/// GPT-3 175B (Brown et al. 2020 table 2.1) on A100s, 1,536 sequences of 2,048 a step.
cost::RunShape gpt3(int devices) {
  cost::RunShape run;
  run.model = model::with_usual_values({.layers = 96, .width = 12288, .heads = 96, .vocab = 51200});
  run.model.mlp = model::MlpKind::gelu;
  run.model.position = model::PositionKind::learned;
  run.model.position_rows = 2048;
  run.model.tied_embeddings = true;
  run.sequence_length = 2048, run.global_batch = 1536;
  run.framework = "megatron-lm", run.accelerator = "a100";
  run.devices = devices;
  return run;
}

SearchOptions options(Objective objective = Objective::time) { return {.objective = objective, .device_memory = 80e9}; }

std::vector<std::string> names(const SearchResult& result) {
  std::vector<std::string> out;
  for (const std::size_t i : result.best) out.push_back(to_text(result.all[i].run));
  return out;
}

/// Sets a search beside one that simulates all, where every layout that can run fits. @return layouts simulated by the latter
std::size_t compare_with_brute_force(const std::vector<cost::RunShape>& shapes, Objective objective) {
  SearchOptions some = options(objective);
  some.device_memory = 1e15;
  SearchOptions all = some;
  all.simulate_all = true;
  const SearchResult quick = search(shapes, shipped(), some), full = search(shapes, shipped(), all);
  EXPECT_EQ(names(quick), names(full));
  EXPECT_EQ(quick.best.size(), 10U);
  EXPECT_EQ(full.count(Outcome::bounded), 0U);
  EXPECT_LT(quick.count(Outcome::simulated), full.count(Outcome::simulated) / 2);
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    const Considered &bound = quick.all[i], &exact = full.all[i];
    EXPECT_LE(bound.seconds, exact.seconds) << to_text(bound.run);
    EXPECT_TRUE(bound.outcome != Outcome::simulated || bound.seconds == exact.seconds) << to_text(bound.run);
  }
  return full.count(Outcome::simulated);
}
TEST(Search, FindsWhatSimulatingEverythingFinds) {
  const cost::RunShape base = gpt3(1024);
  EXPECT_GE(compare_with_brute_force(enumerate(base, search_space(base, {})), Objective::time), 2000U);
}
TEST(Search, FindsTheLeastMemoryAsWell) {
  const cost::RunShape base = gpt3(64);
  const auto space = search_space(base, parse_restriction("schedule=1f1b+zb-h1,recompute=none+layer"));
  EXPECT_GE(compare_with_brute_force(enumerate(base, space), Objective::memory), 100U);
}

/// Layouts of 512 devices that docs/planner.md and Megatron-LM's row of cost/framework.cpp name, counted by hand: tp inside a node, pp
/// dividing devices; one schedule without stages, else 1F1B and every number of chunks that divides the layers; sp where tp splits, ZeRO 0
/// and 1 where there are data-parallel ranks; three recomputations, four micro-batches.
std::size_t layouts_of_gpt3_on_512() {
  std::size_t count = 0;
  for (const int tp : {1, 2, 4, 8})
    for (const int pp : {1, 2, 4, 8, 16, 32, 64}) {
      std::size_t schedules = 1;
      for (const int chunks : {2, 3, 4, 6, 8}) schedules += pp > 1 && 96 % (pp * chunks) == 0;
      count += schedules * (tp > 1 ? 2 : 1) * (tp * pp < 512 ? 2 : 1) * 3 * 4;
    }
  return count;
}

// Nothing is left out without a proof: of what was not simulated each contradicts, is too large, or is at best worse than the worst kept.
TEST(Search, EveryLayoutIsBoundedOrSimulated) {
  const cost::RunShape base = gpt3(512);
  const SearchResult result = search(enumerate(base, search_space(base, {})), shipped(), options());
  EXPECT_EQ(result.all.size(), layouts_of_gpt3_on_512());
  const double worst_kept = result.all[result.best.back()].seconds;
  for (std::size_t i = 0; i < result.all.size(); ++i) {
    const Considered& c = result.all[i];
    const cost::RunShape& run = c.run;
    const bool divides = run.global_batch % (run.micro_batch * run.layout.dp) == 0;
    const bool can_run = divides && program::contradictions(run.model, run.layout, run.sequence_length, run.micro_batches()).empty();
    EXPECT_EQ(c.outcome == Outcome::contradiction, !can_run) << to_text(run);
    if (can_run) {
      EXPECT_EQ(c.outcome == Outcome::too_large, !cost::judge_fit(run, shipped(), 80e9).fits) << to_text(run);
    }
    if (c.outcome == Outcome::bounded) {
      EXPECT_GE(c.seconds, worst_kept) << to_text(run);
    }
    if (i % 7 == 0) {
      EXPECT_EQ(why_lost(result, i, shipped()).empty(), i == result.best.front()) << to_text(run);
    }
  }
}

TEST(Search, CountsDevicesWhereTheyAreThePrice) {
  std::vector<cost::RunShape> shapes;
  for (const int devices : {256, 1024}) {
    const cost::RunShape base = gpt3(devices);
    for (cost::RunShape& shape : enumerate(base, search_space(base, parse_restriction("schedule=1f1b")))) shapes.push_back(shape);
  }
  const auto devices = [&](Objective objective) {
    const SearchResult result = search(shapes, shipped(), options(objective));
    return result.all[result.best.front()].run.devices;
  };
  EXPECT_EQ(devices(Objective::time), 1024);
  EXPECT_EQ(devices(Objective::device_hours), 256);  // larger shares of the batch, shorter bubbles
}

TEST(SearchSpace, HasEachLayoutOnce) {
  const cost::RunShape base = gpt3(64);
  const std::vector<cost::RunShape> shapes = enumerate(base, search_space(base, {}));
  std::set<std::string> seen;
  for (const cost::RunShape& shape : shapes) {
    EXPECT_TRUE(seen.insert(to_text(shape)).second) << to_text(shape);
    EXPECT_EQ(shape.layout.world(), 64);
  }
  EXPECT_TRUE(seen.contains("dp=2,tp=8,pp=4,zero=1,virtual=3,sp=1,recompute=selective,schedule=interleaved micro_batch=2"));
}

TEST(SearchSpace, RestrictionsReplaceValues) {
  const cost::RunShape base = gpt3(64);
  for (const cost::RunShape& shape : enumerate(base, search_space(base, parse_restriction("tp=4,zero=3,micro_batch=16,schedule=zb-h1")))) {
    EXPECT_EQ(shape.layout.tp, 4);
    EXPECT_EQ(shape.layout.zero, shape.layout.dp == 1 ? 0 : 3);
    EXPECT_EQ(shape.micro_batch, 16);
  }
  EXPECT_EQ(enumerate(base, search_space(base, parse_restriction("tp=3"))).size(), 0U);
  // What means nothing for one rank, or of all ranks, is no other layout.
  EXPECT_EQ(enumerate(gpt3(1), search_space(gpt3(1), parse_restriction("zero=3,micro_batch=1,recompute=none"))).size(), 1U);
  EXPECT_EQ(
      to_text(enumerate(base, search_space(base, parse_restriction("tp=1+1,pp=1,zero=3,shard=64,recompute=none,micro_batch=1"))).at(0)),
      "dp=64,tp=1,pp=1,zero=3 micro_batch=1");
}

TEST(SearchSpace, ErrorsNameTheKeyAndAFix) {
  const auto error_of = [](std::string_view text) { return longhaul::testing::usage_error([&] { (void)parse_restriction(text); }); };
  EXPECT_NE(error_of("tq=4").find("nearest: tp"), std::string::npos);
  EXPECT_NE(error_of("dp=4").find("dp follows from the devices"), std::string::npos);
  EXPECT_NE(error_of("tp").find("write key=value"), std::string::npos);
  EXPECT_NE(error_of("tp=1,tp=2").find("given twice"), std::string::npos);
  EXPECT_NE(error_of("micro_batch=0").find("whole number"), std::string::npos);
  EXPECT_NE(error_of("tp=4+").find("is not an integer"), std::string::npos);
}

}  // namespace
}  // namespace longhaul::plan
