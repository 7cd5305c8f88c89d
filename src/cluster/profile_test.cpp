#include "cluster/profile.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "units/error.h"

namespace longhaul::cluster {
namespace {

class ProfileFile : public testing::Test {
 protected:
  std::filesystem::path path_ = std::filesystem::path(testing::TempDir()) / "profile_test.toml";
  void write(const std::string& text) { std::ofstream(path_) << text; }
  void TearDown() override { std::filesystem::remove(path_); }
};

TEST_F(ProfileFile, ReadsBackWhatItWrote) {
  Profile profile{"Some CPU", "2026-01-31T12:00:00Z", {{"dp2", "avx512_bf16", 2, 3e11, 2e11, 1e11}}, {{2, 2.5e10}}};
  write(to_toml(profile));
  const Profile again = read_profile(path_);
  EXPECT_EQ(again.processor, profile.processor);
  ASSERT_NE(again.find("dp2", "avx512_bf16", 2), nullptr);
  EXPECT_EQ(again.find("dp2", "avx512_bf16", 2)->gemm_flops, 2e11);
  EXPECT_EQ(again.find("fma", "avx512_bf16", 2), nullptr);
  ASSERT_NE(again.find_memory(2), nullptr);
  EXPECT_EQ(again.find_memory(2)->triad_bytes, 2.5e10);
}

TEST_F(ProfileFile, NamesFileAndFieldOfABadOne) {
  write("version = 1\nprocessor = \"x\"\nmeasured = \"now\"\n[[compute]]\norder = \"dp2\"\nfamily = 3\n");
  try {
    read_profile(path_);
    FAIL() << "accepted";
  } catch (const UsageError& error) {
    EXPECT_NE(std::string(error.what()).find("family"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("profile_test.toml"), std::string::npos);
  }
  write("not toml = = 1");
  EXPECT_THROW(read_profile(path_), UsageError);
}

}  // namespace
}  // namespace longhaul::cluster
