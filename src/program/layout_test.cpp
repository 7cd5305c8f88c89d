#include "program/layout.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "config/options.h"
#include "units/format.h"
#include "units/testing.h"

namespace longhaul::program {
namespace {

model::ModelSpec llama_70b() {
  model::ModelSpec spec;
  spec.layers = 80;
  spec.width = 8192;
  spec.heads = 64;
  spec.kv_heads = 8;
  spec.ffn_width = 28672;
  spec.vocab = 32000;
  return model::with_usual_values(spec);
}

std::string error_of(std::string_view text) {
  return longhaul::testing::usage_error([&] { (void)parse_layout(text); });
}

TEST(Layout, ComesBackAsItWasWritten) {
  for (const std::string text : {"dp=8,tp=4,pp=2", "dp=2,tp=1,pp=4,cp=2,zero=1,virtual=3,sp=1,recompute=selective,schedule=interleaved",
                                 "dp=64,tp=1,pp=1,zero=3,shard=8", "dp=1,tp=1,pp=3,recompute=layer,schedule=zb-h1,stages=27+27+26",
                                 "dp=1,tp=1,pp=2,virtual=2,schedule=1f1b"})
    EXPECT_EQ(to_text(parse_layout(text)), text);
  EXPECT_EQ(parse_layout("dp=8,tp=4,pp=2").world(), 64);  // accounting C1
}

TEST(Layout, HasTheKeysOfARunFileAndNoOthers) {
  std::set<std::string_view> in_run_file;
  for (const config::Option& option : config::options())
    if (option.table == "parallel") in_run_file.insert(option.key);
  for (const std::string_view key : layout_keys()) EXPECT_EQ(in_run_file.erase(key), 1U) << key;
  EXPECT_EQ(in_run_file, (std::set<std::string_view>{"virtual_tensor", "virtual_sequence"})) << "they reach bits, as no layout does";
  EXPECT_EQ(layout_of(config::ParallelTable{}), Layout{}) << "the same defaults";
}

TEST(Layout, EachKeyOfARunFileIsTheOneOfTheCommandLine) {
  const std::map<std::string_view, std::string_view> values{
      {"dp", "8"},           {"tp", "4"},      {"pp", "2"},      {"cp", "2"}, {"ep", "2"},
      {"zero", "1"},         {"shard", "4"},   {"virtual", "3"}, {"sp", "1"}, {"recompute", "layer"},
      {"schedule", "zb-h2"}, {"stages", "3+5"}};
  for (const std::string_view key : layout_keys()) {
    ASSERT_TRUE(values.contains(key)) << key << " has no value here";
    const std::string_view value = values.at(key);
    const config::Option& option = *config::find_option("parallel", key);
    config::RunConfig run;
    const auto number = parse_count(value);
    ASSERT_EQ(set(option, run, number && option.kind == config::Kind::integer ? config::Value(*number) : std::string(value)), std::nullopt);
    Layout layout;
    set_layout_value(layout, key, value);
    EXPECT_EQ(layout_of(run.parallel), layout) << key;
    EXPECT_NE(layout, Layout{}) << key << " changes nothing";
    EXPECT_EQ(layout_value(layout, key), value);
  }
}

TEST(Layout, ErrorsNameTheKeyAndAFix) {
  EXPECT_EQ(error_of("dp=8,tq=4"),
            "layout 'dp=8,tq=4': key = 'tq' is unknown; allowed: dp, tp, pp, cp, ep, zero, shard, virtual, sp, "
            "recompute, schedule, stages; nearest: tp");
  EXPECT_NE(error_of("schedule=interleved").find("nearest: interleaved"), std::string::npos);
  EXPECT_EQ(error_of("tp=0"), "layout 'tp=0': tp = '0' is out of range; allowed: integer ≥ 1 and ≤ 1048576");
  for (const std::string text : {"", "dp", "=3", "dp=", "dp=0", "dp=-1", "dp=1.5", "zero=4", "dp=2,dp=2", "sp=2", "stages=1+x",
                                 "dp=99999999999999999999", "dp=1000000,tp=1000", "pp=1000,virtual=10000"})
    EXPECT_NE(error_of(text), "") << text;
}

TEST(Layout, EvenStagesDifferByOneAtMost) {
  EXPECT_EQ(even_stages(78, 12), (std::vector<int>{7, 7, 7, 7, 7, 7, 6, 6, 6, 6, 6, 6}));
  EXPECT_EQ(even_stages(8, 4), (std::vector<int>{2, 2, 2, 2}));
}

TEST(Layout, ContradictionsAreSentences) {
  const model::ModelSpec spec = llama_70b();
  const auto said = [&](std::string_view text, int micro_batches = 8) {
    const auto list = contradictions(spec, parse_layout(text), 4096, micro_batches);
    return list.empty() ? "" : list.front();
  };
  EXPECT_EQ(said("dp=8,tp=8,pp=4,sp=1"), "");
  EXPECT_EQ(said("tp=16"), "");  // a key/value head shared by two ranks
  EXPECT_EQ(said("tp=3"), "tp = 3 does not divide heads = 64; 2 and 4 do");
  EXPECT_EQ(said("cp=3"), "cp = 3 does not divide sequence_length = 4096; 2 and 4 do");
  EXPECT_EQ(said("tp=128"), "tp = 128 does not divide heads = 64; 64 does");
  EXPECT_NE(said("pp=81").find("leaves stages empty"), std::string::npos);
  EXPECT_EQ(said("pp=2,stages=40+39"), "stages add up to 79 layers, the model has 80; add 1");
  EXPECT_EQ(said("pp=4,virtual=2", 6), "pp (interleaved) = 4 does not divide micro-batches of a step = 6; 3 and 6 do");
  EXPECT_EQ(said("dp=8,shard=4"), "shard is given but zero = 0 shards nothing; use zero=1, 2 or 3");
  EXPECT_EQ(said("dp=8,zero=3,shard=3"), "shard = 3 does not divide dp·cp = 8; 2 and 4 do");
  EXPECT_EQ(said("dp=8,ep=2"), "ep = 2 but the model has no experts; use ep=1");
}

}  // namespace
}  // namespace longhaul::program
