#include "plan/explain/explain.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <ostream>

#include "cost/kernel_calls.h"
#include "plan/explain/expression.h"
#include "program/build.h"
#include "units/error.h"

namespace longhaul::plan {
namespace {

const cost::Calibration& shipped() {
  static const cost::Calibration calibration = cost::shipped_calibration();
  return calibration;
}

model::ModelSpec llama_8b() {
  return model::with_usual_values(
      {.layers = 32, .width = 4096, .heads = 32, .kv_heads = 8, .ffn_width = 14336, .vocab = 128256, .mlp = model::MlpKind::swiglu});
}
model::ModelSpec gpt() {
  model::ModelSpec spec = model::with_usual_values({.layers = 30, .width = 4096, .heads = 32, .vocab = 51200});
  spec.mlp = model::MlpKind::gelu, spec.norm = model::NormKind::layer_norm, spec.position = model::PositionKind::learned;
  spec.norm_bias = spec.qkv_bias = spec.output_bias = spec.mlp_bias = spec.tied_embeddings = true, spec.position_rows = 2048;
  return spec;
}
model::ModelSpec mixture() {
  model::ModelSpec spec = llama_8b();
  spec.experts = {.count = 8, .top_k = 2, .width = 14336};
  return spec;
}

struct Case {
  std::string name;
  model::ModelSpec model;
  std::string cluster, layout, framework = "megatron-lm";
  cost::Precision precision = cost::Precision::bf16;
  bool flash = true;
  friend void PrintTo(const Case& of, std::ostream* out) { *out << of.name; }
};
/// Every branch of the memory and time models: ZeRO stages, HSDP, recomputation, schedules, frameworks, experts, context parallelism.
const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {"one device", llama_8b(), "h100", "dp=1"},
      {"data parallel", llama_8b(), "a100x64", "dp=64"},
      {"megatron", llama_8b(), "h100x64", "dp=4,tp=4,pp=4,zero=1,sp=1"},
      {"nanotron across nodes", llama_8b(), "h100x64", "dp=4,tp=4,pp=4,zero=1,sp=1", "nanotron"},
      {"nanotron in one node", llama_8b(), "h100x8", "dp=2,tp=2,pp=2", "nanotron"},
      {"plain attention, full recomputation, tied", gpt(), "a100x96", "dp=6,tp=4,pp=4,zero=1,recompute=layer", "megatron-deepspeed",
       cost::Precision::fp16, false},
      {"selective", gpt(), "a100x32", "dp=4,tp=8,recompute=selective", "megatron-lm", cost::Precision::bf16, false},
      {"interleaved", llama_8b(), "h100x32", "dp=2,tp=4,pp=4,virtual=2,sp=1"},
      {"zero bubble", llama_8b(), "h100x32", "dp=2,tp=4,pp=4,schedule=zb-h1,zero=2"},
      {"gpipe", llama_8b(), "h100x8", "pp=8,schedule=gpipe"},
      {"sharded by layer", llama_8b(), "h100x128", "dp=128,zero=3,recompute=selective", "torchtitan+compile"},
      {"sharded in copies", llama_8b(), "h100x128", "dp=128,zero=3,shard=16", "torchtitan", cost::Precision::fp8},
      {"optimizer sharded in copies", llama_8b(), "h100x64", "dp=64,zero=1,shard=8"},
      {"sharded under a pipeline", llama_8b(), "h100x64", "dp=16,pp=4,zero=3", "torchtitan"},
      {"experts", mixture(), "h100x64", "dp=16,tp=2,pp=2,ep=8,zero=1,sp=1"},
      {"experts on more ranks than share the states", mixture(), "h100x64", "dp=64,shard=4,ep=8,zero=1"},
      {"experts on one rank each", mixture(), "h100x8", "dp=8,ep=8"},
      {"experts in copies, sharded by layer", mixture(), "h100x64", "dp=32,tp=2,ep=4,sp=1,zero=3"},
      {"experts inside tensor parallelism", mixture(), "h100x8", "tp=8,ep=4,sp=1"},
      {"context", llama_8b(), "h100x64", "dp=8,tp=2,cp=4,zero=1,sp=1"},
  };
  return all;
}

Forecast forecast_of(const Case& of) {
  cost::RunShape shape;
  shape.model = of.model;
  shape.layout = program::parse_layout(of.layout);
  shape.sequence_length = 2048, shape.global_batch = 768, shape.micro_batch = 1;
  shape.framework = of.framework, shape.precision = of.precision, shape.flash_attention = of.flash;
  if (shape.layout.dp % 3 != 0) shape.global_batch = 512;
  JobFacts facts{.tokens = Tokens(300'000'000'000),
                 .unique_tokens = Tokens(100'000'000'000),
                 .device_hours_price = 2.5,
                 .mtbf = Seconds(48 * 3600),
                 .save = Seconds(60)};
  return forecast(cluster::find_cluster(of.cluster), shape, facts, shipped());
}

/// The formula as it is printed, worked out with the numbers that are printed.
double worked_out(const Explanation& e) {
  return evaluate(e.formula, [&](std::string_view symbol) {
    for (const Term& term : e.terms)
      if (term.symbol == symbol) return term.value;
    throw std::logic_error("no number for " + std::string(symbol));
  });
}

void expect_same(const Explanation& e, double figure) {
  EXPECT_NEAR(worked_out(e), figure, 1e-9 * std::abs(figure) + 1e-12) << e.id << ": " << e.formula;
}

class OfForecast : public ::testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(Explain, OfForecast, ::testing::ValuesIn(cases()));

TEST_P(OfForecast, EveryFormulaGivesTheFigureOfThePlan) {
  SCOPED_TRACE(GetParam().name);
  const Forecast plan = forecast_of(GetParam());
  const nlohmann::json document = to_json(plan);
  int in_plan = 0;
  for (const auto& [id, title] : explainable(plan)) {
    const Explanation e = explain(plan, shipped(), id, false);
    ASSERT_TRUE(e.value) << id;
    expect_same(e, *e.value);
    EXPECT_FALSE(e.title.empty() || e.source.empty()) << id;
    for (const Term& term : e.terms) EXPECT_FALSE(term.meaning.empty()) << id << " " << term.symbol;
    if (e.pointer.empty()) continue;
    ++in_plan;
    const nlohmann::json& figure = document.at(nlohmann::json::json_pointer(e.pointer));
    EXPECT_NEAR(figure.get<double>(), *e.value, 1e-12 * std::abs(*e.value)) << id;
  }
  EXPECT_GE(in_plan, 45);
}

TEST(Explain, OneRankOfThisMachine) {
  config::RunConfig config;
  config.model = model::with_usual_values({.layers = 3, .width = 32, .heads = 4, .kv_heads = 2, .ffn_width = 48, .vocab = 100});
  config.batch.sequence_length = 16, config.batch.global_batch = 12, config.batch.micro_batch = 2;
  const model::ParamTable table(config.model);
  program::BuildOptions options;
  options.batch = {2, 16, 6, 2};
  options.workspace = {Bytes(64), Bytes(640), Bytes(4096), Bytes(2048)};
  const program::Program step = program::build_step(config.model, table, options);
  cluster::ComputeRates rates{"fma", "avx2", 2, 1e11};
  for (const cluster::KernelCall& call : cost::distinct_calls(config.model, options.batch, step))
    rates.kernels.add({call, Seconds(1e-9 * cluster::work(call))});
  const Account account = make_account(config, step, step.arena, {Bytes(1 << 20), Bytes(4096), Bytes(512)}, rates, "made up for the test");
  const nlohmann::json document = to_json(account);
  int explained = 0;
  for (const auto& [id, title] : explainable(account)) {
    const Explanation e = explain(account, config, id);
    ASSERT_TRUE(e.value) << id;
    expect_same(e, *e.value);
    EXPECT_DOUBLE_EQ(document.at(nlohmann::json::json_pointer(e.pointer)).get<double>(), *e.value) << id;
    ++explained;
  }
  EXPECT_GE(explained, 28);
  // Without a program there are parameters and work alone.
  EXPECT_THROW((void)explain(count(config), config, "memory.weights"), UsageError);
}

TEST(Explain, LeversAreForecastsMadeAnew) {
  const Case megatron = cases()[2];
  const Forecast plan = forecast_of(megatron);
  Case sharded = megatron;
  sharded.layout = "dp=4,tp=4,pp=4,zero=3,sp=1";
  const Explanation e = explain(plan, shipped(), "memory.weights");
  const auto at = std::find_if(e.levers.begin(), e.levers.end(), [](const Lever& lever) { return lever.change == "zero=3"; });
  ASSERT_NE(at, e.levers.end());
  const cost::MemoryEstimate other = forecast_of(sharded).memory;
  EXPECT_DOUBLE_EQ(at->value, other.stages[static_cast<std::size_t>(other.fullest)].weights);
  EXPECT_LT(at->value, *e.value);
}

TEST(Explain, LayoutsThatCannotRunAreNoLevers) {
  Case odd = cases()[2];
  odd.layout = "dp=1,tp=32,pp=2,sp=1";  // 64 tensor-parallel ranks would not divide 32 heads
  for (const Lever& lever : explain(forecast_of(odd), shipped(), "memory.weights").levers)
    EXPECT_EQ(lever.change.find("tp=64"), std::string::npos);
}

TEST(Explain, WhatWasNotGivenSaysSo) {
  Forecast plan = forecast_of(cases()[0]);
  plan.facts.device_hours_price.reset();
  const Explanation e = explain(plan, shipped(), "run.money");
  EXPECT_FALSE(e.value);
  EXPECT_NE(to_text(e).find("--price"), std::string::npos);
  EXPECT_TRUE(to_json(e)["value"].is_null());
}

TEST(Explain, AnUnknownIdNamesTheNearest) {
  const Forecast plan = forecast_of(cases()[0]);
  try {
    (void)explain(plan, shipped(), "memory.optimiser");
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_NE(std::string(error.what()).find("memory.optimizer"), std::string::npos) << error.what();
  }
}

TEST(Explain, DevicesNeededNamesTheTrap) {
  const Forecast plan = forecast_of(cases()[0]);
  const Explanation e = explain(plan, shipped(), "devices_needed");
  ASSERT_TRUE(e.value);
  expect_same(e, *e.value);
  EXPECT_NE(to_text(e).find("28,672 GB"), std::string::npos);
}

TEST(Explain, TextHasFormulaNumbersAndSource) {
  const std::string text = to_text(explain(forecast_of(cases()[2]), shipped(), "memory.optimizer"));
  // 12 bytes a parameter of a quarter of the model's quarter, shared by four.
  EXPECT_NE(text.find("(optimizer_bytes + shard_copy) · parameters ÷ shards"), std::string::npos) << text;
  EXPECT_NE(text.find("12 B/parameter"), std::string::npos) << text;
  EXPECT_NE(text.find("Rajbhandari"), std::string::npos) << text;
}

}  // namespace
}  // namespace longhaul::plan
