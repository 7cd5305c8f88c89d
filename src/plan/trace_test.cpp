#include "plan/trace.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "units/error.h"

namespace longhaul::plan {
namespace {

const cost::Calibration& shipped_calibration() {
  static const cost::Calibration calibration = cost::shipped_calibration();
  return calibration;
}

Forecast forecast_on(const std::string& cluster, const std::string& layout, const std::string& framework = "megatron-lm",
                     bool experts = false) {
  cost::RunShape shape;
  shape.model = model::with_usual_values(
      {.layers = 14, .width = 4096, .heads = 32, .kv_heads = 8, .ffn_width = 14336, .vocab = 128256, .mlp = model::MlpKind::swiglu});
  if (experts) shape.model.experts = {.count = 8, .top_k = 2, .width = 4096, .dense_layers = 2};
  shape.layout = program::parse_layout(layout);
  shape.sequence_length = 4096, shape.global_batch = 32, shape.micro_batch = 1;
  shape.framework = framework;
  JobFacts facts;
  facts.tokens = Tokens(1'000'000'000);
  return forecast(cluster::find_cluster(cluster), shape, facts, shipped_calibration());
}

struct Slice {
  std::int64_t begin, end;  // nanoseconds
  std::string name, category;
};
std::int64_t nanoseconds(const nlohmann::json& microseconds) { return std::llround(microseconds.get<double>() * 1000); }

/// Slices of each (process, track), in the order of the file.
using Tracks = std::map<std::pair<int, int>, std::vector<Slice>>;
Tracks tracks_of(const nlohmann::json& document) {
  Tracks out;
  for (const nlohmann::json& event : document.at("traceEvents"))
    if (event.at("ph") == "X") {
      const std::int64_t begin = nanoseconds(event.at("ts"));
      out[{event.at("pid"), event.at("tid")}].push_back({begin, begin + nanoseconds(event.at("dur")), event.at("name"), event.at("cat")});
    }
  return out;
}

void expect_nested(std::vector<Slice> slices) {
  std::sort(slices.begin(), slices.end(),
            [](const Slice& a, const Slice& b) { return a.begin != b.begin ? a.begin < b.begin : a.end > b.end; });
  std::vector<Slice> open;
  for (const Slice& slice : slices) {
    EXPECT_GE(slice.begin, 0) << slice.name;
    EXPECT_GT(slice.end, slice.begin) << slice.name;
    while (!open.empty() && open.back().end <= slice.begin) open.pop_back();
    if (!open.empty()) {
      EXPECT_LE(slice.end, open.back().end) << slice.name << " reaches out of " << open.back().name;
    }
    open.push_back(slice);
  }
}

class Traces : public ::testing::TestWithParam<std::pair<const char*, const char*>> {};
INSTANTIATE_TEST_SUITE_P(Layouts, Traces,
                         ::testing::Values(std::pair{"dp=2,tp=4,pp=4,zero=1,sp=1", "megatron-lm"},
                                           std::pair{"dp=4,tp=2,pp=4,recompute=layer", "megatron-deepspeed"},
                                           std::pair{"dp=2,tp=4,pp=4,zero=1,sp=1", "nanotron"},
                                           std::pair{"dp=4,tp=2,pp=4,virtual=2", "megatron-lm"},
                                           std::pair{"dp=4,tp=2,pp=4,schedule=zb-h1,recompute=selective", "megatron-lm"},
                                           std::pair{"dp=4,pp=8,schedule=gpipe", "megatron-lm"}, std::pair{"dp=32,zero=3", "torchtitan"}));

TEST_P(Traces, SlicesNestAndEndWithTheStep) {
  const Forecast plan = forecast_on("h100x32", GetParam().first, GetParam().second);
  const nlohmann::json document = nlohmann::json::parse(trace(plan, shipped_calibration()).json);
  const Tracks tracks = tracks_of(document);
  std::set<int> ranks;
  for (const auto& [track, slices] : tracks) {
    expect_nested(slices);
    if (track.second != 0) continue;
    ranks.insert(track.first);
    std::int64_t last = 0;
    for (const Slice& slice : slices) last = std::max(last, slice.end);
    EXPECT_NEAR(static_cast<double>(last), plan.step.seconds * 1e9, 2) << "rank " << track.first;
  }
  EXPECT_EQ(ranks.size(), static_cast<std::size_t>(plan.shape.layout.pp));
  EXPECT_DOUBLE_EQ(document.at("otherData").at("step_seconds").get<double>(), plan.step.seconds);
}

TEST_P(Traces, TurnsAreTheSchedulesAndLayersFillThem) {
  const Forecast plan = forecast_on("h100x32", GetParam().first, GetParam().second);
  const Trace drawn = trace(plan, shipped_calibration());
  ASSERT_EQ(drawn.detailed, plan.shape.micro_batches());
  std::map<std::string, int> turns;
  double turn_time = 0, layers = 0, ends = 0;
  std::set<std::string> forward_layers;
  for (const auto& [track, slices] : tracks_of(nlohmann::json::parse(drawn.json)))
    for (const Slice& slice : slices) {
      const double seconds = static_cast<double>(slice.end - slice.begin) * 1e-9;
      if (slice.category == "turn") ++turns[slice.name.substr(0, slice.name.find(" mb"))], turn_time += seconds;
      if (slice.category == "layer") layers += seconds;
      if (slice.category == "end" || slice.name.ends_with("/exchange")) ends += seconds;
      if (slice.category == "layer" && slice.name.ends_with(".fwd")) forward_layers.insert(slice.name.substr(slice.name.rfind('/')));
    }
  const int all = plan.shape.micro_batches() * plan.shape.layout.virtual_stages();
  EXPECT_EQ(turns["forward"], all);
  EXPECT_EQ(turns["backward"] + turns["input gradient"], all);
  EXPECT_EQ(turns["input gradient"], turns["weight gradient"]);
  EXPECT_NEAR(layers + ends, turn_time, 1e-6 * turn_time);
  EXPECT_EQ(forward_layers.size(), 14U);
}

// The plan's own memory is the highest point of each rank's counter.
TEST_P(Traces, MemoryCounterPeaksAtThePlan) {
  const Forecast plan = forecast_on("h100x32", GetParam().first, GetParam().second);
  std::map<int, double> peak;
  const nlohmann::json document = nlohmann::json::parse(trace(plan, shipped_calibration()).json);
  for (const nlohmann::json& event : document.at("traceEvents"))
    if (event.at("ph") == "C" && event.at("name") == "memory GiB")
      peak[event.at("pid")] = std::max(peak[event.at("pid")], event.at("args").at("value").get<double>());
  for (int rank = 0; rank < plan.shape.layout.pp; ++rank)
    EXPECT_NEAR(peak[rank] * kGiB, plan.memory.stages[static_cast<std::size_t>(rank)].total(), 1e7) << rank;
}

TEST(Trace, IdsAreThoseOfTheProgram) {
  const std::string json = trace(forecast_on("h100x32", "dp=2,tp=4,pp=4,sp=1,recompute=layer"), shipped_calibration()).json;
  for (const char* id : {"mb3/s0/L2/attn.fwd", "mb3/s0/L2/qkv.fwd", "mb0/s3/head_loss.fwd", "mb3/s0/L2/layer.rec", "mb5/s1/L4/down.bwd",
                         "mb5/s1/L4/down.wgrad", "mb0/s0/L0/attn.reduce_scatter.fwd", "mb0/s0/embed.fwd", "s2/update"})
    EXPECT_NE(json.find(std::string("\"") + id + "\""), std::string::npos) << id;
}

// Forward: gather, products, scatter; backward the other way round, and again a gather before and a scatter after.
TEST(Trace, WorkStandsInTheOrderItIsDone) {
  std::vector<std::string> forward, backward;
  for (const auto& [track, slices] :
       tracks_of(nlohmann::json::parse(trace(forecast_on("h100x32", "dp=2,tp=4,pp=4,sp=1"), shipped_calibration()).json)))
    for (const Slice& slice : slices) {
      const std::string prefix = "mb0/s0/L0/";
      if (!slice.name.starts_with(prefix)) continue;
      if (slice.name.ends_with(".fwd")) forward.push_back(slice.name.substr(prefix.size()));
      if (slice.name.ends_with(".bwd")) backward.push_back(slice.name.substr(prefix.size()));
    }
  EXPECT_EQ(forward, (std::vector<std::string>{"attn.all_gather.fwd", "qkv.fwd", "attn.fwd", "proj.fwd", "attn.reduce_scatter.fwd",
                                               "mlp.all_gather.fwd", "up.fwd", "down.fwd", "mlp.reduce_scatter.fwd", "elementwise.fwd"}));
  EXPECT_EQ(backward, (std::vector<std::string>{"elementwise.bwd", "mlp.all_gather.bwd", "down.bwd", "up.bwd", "mlp.reduce_scatter.bwd",
                                                "attn.all_gather.bwd", "proj.bwd", "attn.bwd", "qkv.bwd", "attn.reduce_scatter.bwd"}));
}

TEST(Trace, LayersOfAMixtureDrawTheirOwnWork) {
  const std::string json = trace(forecast_on("h100x32", "dp=16,tp=2,ep=8,sp=1", "megatron-lm", true), shipped_calibration()).json;
  EXPECT_NE(json.find("mb0/s0/L1/up.fwd"), std::string::npos);
  EXPECT_NE(json.find("mb0/s0/L2/expert.up.fwd"), std::string::npos);
  EXPECT_EQ(json.find("mb0/s0/L1/expert.up.fwd"), std::string::npos);
}

TEST(Trace, ALargeStepIsDrawnInPartAndAnEndlessOneRefused) {
  Forecast plan = forecast_on("h100x4", "pp=4");
  plan.shape.global_batch = 4096;
  const Trace drawn = trace(plan, shipped_calibration());
  EXPECT_LT(drawn.detailed, 4096);
  EXPECT_GE(drawn.detailed, 1);
  EXPECT_LT(drawn.json.size(), 32U << 20);
  plan.shape.global_batch = 1 << 20;
  EXPECT_THROW((void)trace(plan, shipped_calibration()), UsageError);
}

}  // namespace
}  // namespace longhaul::plan
