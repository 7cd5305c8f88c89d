#include "interop/launch.h"

#include <gtest/gtest.h>

#include "program/layout.h"
#include "units/testing.h"

namespace longhaul::interop {
namespace {

cost::RunShape shape(const char* layout, int devices_per_node = 8) {
  cost::RunShape out;
  out.layout = program::parse_layout(layout);
  out.devices = out.layout.world();
  out.devices_per_node = devices_per_node;
  return out;
}

TEST(Launch, ProcessesAreTheDevices) {
  struct Case {
    const char* layout;
    int per_node, nodes;
  };
  for (const Case& each : {Case{"dp=64", 8, 8}, Case{"dp=4", 4, 1}, Case{"dp=12", 6, 2}, Case{"dp=3,tp=4", 4, 3}, Case{"dp=13", 1, 13},
                           Case{"dp=5,tp=20", 5, 20}, Case{"dp=2,tp=5", 5, 2}}) {
    const Processes written = processes_of(shape(each.layout));
    EXPECT_EQ(written.per_node, each.per_node) << each.layout;
    EXPECT_EQ(written.nodes, each.nodes) << each.layout;
  }
  for (int devices = 1; devices <= 100; ++devices) {
    cost::RunShape run = shape("dp=1");
    run.devices = devices;
    EXPECT_EQ(processes_of(run).per_node * processes_of(run).nodes, devices);
  }
}

TEST(Launch, OtherNodesThanPlannedAreSaid) {
  EXPECT_EQ(other_nodes(shape("dp=64")), "");
  EXPECT_EQ(other_nodes(shape("dp=4")), "");
  EXPECT_NE(other_nodes(shape("dp=12")).find("2 nodes of 6 are written; the plan assumes 1 of 8 and one of 4"), std::string::npos);
}

TEST(Launch, ModulesThatWouldHideOthersAreRefused) {
  const auto refusal = [](const char* stem) {
    return longhaul::testing::usage_error([&] { check_python_module(stem, std::string(stem) + ".py"); });
  };
  for (const char* good : {"llama", "run_7", "_x", "torch_run", "Torch"}) EXPECT_EQ(refusal(good), "") << good;
  for (const char* bad : {"", "7b", "a-b", "a.b"}) EXPECT_NE(refusal(bad).find("letters, digits"), std::string::npos) << bad;
  for (const char* keyword : {"class", "None", "yield"}) EXPECT_NE(refusal(keyword).find("keyword"), std::string::npos) << keyword;
  for (const char* package : {"torch", "torchtitan", "numpy", "tyro"}) EXPECT_NE(refusal(package).find("package"), std::string::npos);
  for (const char* module : {"abc", "typing", "json", "zoneinfo"}) EXPECT_NE(refusal(module).find("standard library"), std::string::npos);
  EXPECT_NE(refusal("torch").find("run_torch.py"), std::string::npos);
}

}  // namespace
}  // namespace longhaul::interop
