#include "report/comparison.h"

#include <gtest/gtest.h>

namespace longhaul::report {
namespace {

using nlohmann::json;

json plan() {
  return json::parse(R"({
    "parameters": {"total": 1000}, "flops": {"per_step": 4e9}, "tokens": {"per_step": 2048},
    "memory": {"arena_bytes": 4096, "peak_bytes_per_rank": 5000},
    "step": {"seconds": 0.5, "peak_flops": 1e10, "phase_seconds": {"forward": 0.2, "backward": 0.3},
             "operation_seconds": {"attn.fwd": 0.2, "mlp_up.bwd": 0.3}}})");
}

/// Steps of 1, 0.8 and 9 s beside validation and saves; the median is 1 s.
std::vector<ledger::Record> records() {
  std::vector<ledger::Record> out(3);
  const std::vector<std::map<std::string, double>> phases = {{{"forward", 0.4}, {"backward", 0.5}, {"other", 0.1}, {"validate", 3}},
                                                             {{"forward", 0.4}, {"backward", 0.3}, {"other", 0.1}},
                                                             {{"forward", 5}, {"backward", 4}, {"checkpoint", 2}, {"hash", 1}}};
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i].timing.phase_seconds = phases[i];
    for (const auto& [name, seconds] : phases[i]) out[i].timing.step_seconds += seconds;
  }
  return out;
}

std::vector<json> events() {
  return {json::parse(R"({"kind": "launch", "parameters": 1000})"), json::parse(R"({"kind": "launch", "order": "dp2"})"),
          json::parse(R"({"kind": "memory", "growth_bytes": 1, "arena_bytes": 1, "arena_high_water_bytes": 1})"),
          json::parse(R"({"kind": "memory", "growth_bytes": 4000, "arena_bytes": 4096, "arena_high_water_bytes": 4032})"),
          json::parse(R"({"kind": "operations", "seconds": {"attn.fwd": 0.4}})")};
}

json compared(const std::vector<json>& happened = events()) { return to_json(compare(plan(), records(), happened)); }

TEST(Comparison, SetsEachLineBesideItsTwin) {
  const json lines = compared();
  EXPECT_EQ(lines["model"]["parameters"], (json{{"planned", 1000}, {"measured", 1000}, {"ratio", 1}}));
  EXPECT_EQ(lines["memory"]["arena"]["ratio"], 1);
  EXPECT_EQ(lines["memory"]["arena_high_water"]["measured"], 4032);
  EXPECT_EQ(lines["memory"]["growth"]["ratio"], 1.25);
  // Without validation, hashes and saves the steps take 1, 0.8 and 9 s.
  EXPECT_EQ(lines["step"]["seconds"], (json{{"planned", 0.5}, {"measured", 1.0}, {"ratio", 0.5}}));
  EXPECT_EQ(lines["step"]["tokens_per_s"]["measured"], 2048);
  EXPECT_DOUBLE_EQ(lines["step"]["mfu"]["measured"], 0.4);
  EXPECT_DOUBLE_EQ(lines["step"]["mfu"]["planned"], 0.8);
  EXPECT_EQ(lines["phase"]["forward"], (json{{"planned", 0.2}, {"measured", 0.4}, {"ratio", 0.5}}));
  EXPECT_EQ(lines["operation"]["attn.fwd"]["ratio"], 0.5);
}

TEST(Comparison, WhatOnlyOneSideHasIsSaidSo) {
  const json lines = compared();
  EXPECT_EQ(lines["phase"]["other"], (json{{"planned", nullptr}, {"measured", 0.1}, {"ratio", nullptr}}));
  EXPECT_EQ(lines["operation"]["mlp_up.bwd"], (json{{"planned", 0.3}, {"measured", nullptr}, {"ratio", nullptr}}));
  EXPECT_FALSE(lines["phase"].contains("validate")) << "no part of a step";
  EXPECT_EQ(compared({})["memory"]["growth"]["measured"], nullptr) << "a run that was too short";

  json unmeasured = plan();  // a run that began before this machine's kernels were measured
  unmeasured.erase("step");
  const json of_unmeasured = to_json(compare(unmeasured, records(), events()));
  EXPECT_EQ(of_unmeasured["step"]["seconds"], (json{{"planned", nullptr}, {"measured", 1.0}, {"ratio", nullptr}}));
  EXPECT_EQ(of_unmeasured["step"]["tokens_per_s"]["measured"], 2048);
  EXPECT_EQ(of_unmeasured["step"]["mfu"], (json{{"planned", nullptr}, {"measured", nullptr}, {"ratio", nullptr}}));
  EXPECT_EQ(of_unmeasured["memory"]["growth"]["ratio"], 1.25) << "memory needs no measurement";

  json old = plan();  // before plans had parts
  old["step"].erase("phase_seconds");
  old["step"].erase("operation_seconds");
  const json of_old = to_json(compare(old, records(), events()));
  EXPECT_EQ(of_old["phase"]["forward"]["planned"], nullptr);
  EXPECT_FALSE(of_old.contains("operation"));
}

TEST(Comparison, TheTextHasPlannedMeasuredAndRatio) {
  const std::string text = to_text(compare(plan(), records(), events()));
  for (const char* said : {"planned ÷ measured", "growth", "5.00 kB", "4.00 kB", "1.250", "mlp_up.bwd", "not measured", "not planned"})
    EXPECT_NE(text.find(said), std::string::npos) << said << "\n" << text;
  EXPECT_LT(text.find("mlp_up.bwd"), text.find("attn.fwd")) << "operations by falling planned time";
}

}  // namespace
}  // namespace longhaul::report
