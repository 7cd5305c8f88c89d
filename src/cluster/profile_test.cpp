#include "cluster/profile.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "units/error.h"

namespace longhaul::cluster {
namespace {

class ProfileFile : public ::testing::Test {
 protected:
  std::filesystem::path path_ = std::filesystem::path(::testing::TempDir()) / "profile_test.toml";
  void write(const std::string& text) { std::ofstream(path_) << text; }
  void TearDown() override { std::filesystem::remove(path_); }
  /// The sentence with which the profile is refused; empty if it is not.
  std::string refusal(const std::string& text) {
    write(text);
    try {
      read_profile(path_);
    } catch (const UsageError& error) {
      return error.what();
    }
    return "";
  }
};

constexpr const char* kHead = "version = 2\nprocessor = \"x\"\nmeasured = \"now\"\n";
constexpr const char* kRow = "[[compute]]\norder = \"dp2\"\nfamily = \"avx2\"\nthreads = 1\npeak_flops = 1e11\n[compute.seconds]\n";

TEST_F(ProfileFile, ReadsBackWhatItWrote) {
  Profile profile{"Some CPU", "2026-01-31T12:00:00Z", {{"dp2", "avx512_bf16", 2, 3e11}}, {{2, 2.5e10}}};
  const KernelCall product{Kernel::gemm_tn, {768, 3072, 4096, 1, 1}}, attention{Kernel::attention_backward, {4, 1024, 12, 4, 64}},
      zero{Kernel::zero, {1 << 20, 1, 1, 1, 1}};
  for (const KernelCall& call : {product, attention, zero}) profile.compute[0].kernels.add({call, Seconds(1.2345e-3)});
  profile.compute.push_back({"fma", "avx512_bf16", 1, 1e11});
  write(to_toml(profile));
  const Profile again = read_profile(path_);
  EXPECT_EQ(again.processor, profile.processor);
  const ComputeRates* rates = again.find("dp2", "avx512_bf16", 2);
  ASSERT_NE(rates, nullptr);
  EXPECT_EQ(rates->peak_flops, 3e11);
  ASSERT_EQ(rates->kernels.points().size(), 3U);
  for (const KernelCall& call : {product, attention, zero}) {
    ASSERT_TRUE(rates->kernels.measured(call));
    EXPECT_EQ(rates->kernels.time(call)->value, 1.2345e-3);
  }
  ASSERT_NE(again.find("fma", "avx512_bf16", 1), nullptr);
  EXPECT_TRUE(again.find("fma", "avx512_bf16", 1)->kernels.points().empty());
  EXPECT_EQ(again.find("fma", "avx512_bf16", 2), nullptr);
  ASSERT_EQ(again.memory.size(), 1U);
  EXPECT_EQ(again.memory[0].triad_bytes, 2.5e10);
}

TEST_F(ProfileFile, NamesFileAndFieldOfABadOne) {
  const std::string family = refusal(std::string(kHead) + "[[compute]]\norder = \"dp2\"\nfamily = 3\n");
  EXPECT_NE(family.find("family"), std::string::npos) << family;
  EXPECT_NE(family.find("profile_test.toml"), std::string::npos) << family;
  EXPECT_NE(refusal("not toml = = 1"), "");
}

TEST_F(ProfileFile, RefusesPointsThatAreNone) {
  const std::string row = std::string(kHead) + kRow;
  EXPECT_EQ(refusal(row + "zero = [[1024, 1e-6]]\n"), "");
  for (const char* bad : {"zero = [[1024]]", "zero = [[1024, 2, 1e-6]]", "zero = [[0, 1e-6]]", "zero = [[1024, -1e-6]]",
                          "zero = [[1024, nan]]", "zero = [[1.5, 1e-6]]", "zero = 7", "no_kernel = [[1024, 1e-6]]"})
    EXPECT_NE(refusal(row + bad + "\n").find("compute.seconds"), std::string::npos) << bad;
}

TEST_F(ProfileFile, AnOlderVersionIsRefusedWithWhatWritesItAnew) {
  const std::string sentence = refusal("version = 1\nprocessor = \"x\"\nmeasured = \"now\"\n");
  EXPECT_NE(sentence.find("version 2"), std::string::npos) << sentence;
  EXPECT_NE(sentence.find("longhaul calibrate --out"), std::string::npos) << sentence;
}

}  // namespace
}  // namespace longhaul::cluster
