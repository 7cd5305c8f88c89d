#include "cluster/catalogue.h"

#include <gtest/gtest.h>

#include <fstream>

#include "units/testing.h"

namespace longhaul::cluster {
namespace {

std::string error_of(const std::string& name) {
  return longhaul::testing::usage_error([&] { (void)find_cluster(name); });
}

TEST(Catalogue, EveryEntryReadsAndSaysItsSource) {
  const auto all = catalogue();
  EXPECT_GE(all.size(), 30u);
  for (const Cluster& c : all) {
    EXPECT_FALSE(c.accelerator.source.empty()) << c.id;
    EXPECT_FALSE(c.network && c.network_source.empty()) << c.id;
    for (const auto& [dtype, rate] : c.accelerator.matmul_flops) EXPECT_LT(rate, c.accelerator.peak(dtype)) << c.id;
  }
}

TEST(Catalogue, CountsStandAfterTheName) {
  const Cluster c = find_cluster("h100x64");
  EXPECT_EQ(c.id, "h100x64");
  EXPECT_EQ(c.devices, 64);
  EXPECT_EQ(c.nodes(), 8);
  EXPECT_EQ(c.accelerator.peak("bf16"), 989e12);
  EXPECT_EQ(c.accelerator.memory, Bytes(80'000'000'000));
  EXPECT_EQ(find_cluster("mi300xx16").devices, 16);
  EXPECT_EQ(find_cluster("mi300x").devices, 1);
  EXPECT_EQ(find_cluster("p5x16").accelerator.id, "h100");
}

TEST(Catalogue, ErrorsNameTheFix) {
  EXPECT_NE(error_of("h10x8").find("no cluster named 'h10'; nearest: h100"), std::string::npos) << error_of("h10x8");
  EXPECT_NE(error_of("h100x0").find("from 1 to"), std::string::npos);
  EXPECT_NE(error_of("no/such/file").find("no cluster file"), std::string::npos);
  try {
    (void)find_cluster("a100").accelerator.peak("fp8");
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_STREQ(error.what(), "A100 SXM 80GB has no peak for fp8; it has bf16: use --precision bf16");
  }
}

TEST(Catalogue, ABadFileNamesLineAndField) {
  const auto path = std::filesystem::temp_directory_path() / "longhaul-bad-cluster.toml";
  std::ofstream(path) << "name = \"x\"\nsource = \"y\"\npeak_tflops = {bf16 = -1}\n";
  EXPECT_NE(error_of(path.string()).find(":3: peak_tflops.bf16 must be a number above 0"), std::string::npos) << error_of(path.string());
  std::ofstream(path) << "name = \"x\"\nsource = \"y\"\npeak_tflops = {bf16 = 1}\nmemry_gb = 80\n";
  EXPECT_NE(error_of(path.string()).find(":4: memry_gb is unknown here; known: name"), std::string::npos) << error_of(path.string());
  EXPECT_NE(error_of(path.string()).find("nearest: memory_gb"), std::string::npos) << error_of(path.string());
  std::ofstream(path) << "name = \"x\"\nsource = \"y\"\npeak_tflops = {bf16 = 1}\n[node]\ndevice = 8\n";
  EXPECT_NE(error_of(path.string()).find(":5: node.device is unknown here"), std::string::npos) << error_of(path.string());
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace longhaul::cluster
