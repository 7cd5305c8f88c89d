#include "machine/profile_cache.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "files/testing.h"
#include "ledger/record.h"
#include "machine/process.h"

namespace longhaul::machine {
namespace {

namespace fs = std::filesystem;
using cluster::Kernel;
using cluster::KernelCall;

const Combination kHere{kernels::Order::dp2, kernels::Family::avx2, 2};
const KernelCall kZero{Kernel::zero, {4096, 1, 1, 1, 1}};

cluster::Profile profile_here() {
  cluster::Profile profile{processor_name(), "2026-01-31T12:00:00.000Z", {{"dp2", "avx2", 2, 3e11}}};
  profile.compute[0].kernels.add({kZero, Seconds(1e-6)});
  return profile;
}

class Cache : public testing::Test {
 protected:
  files::testing::TemporaryDirectory folder_;
  ProfileCache cache_{folder_.path() / "made" / "when needed"};
  void write(const std::string& text) const { std::ofstream(cache_.path(kHere)) << text; }
};

TEST_F(Cache, ReadsBackWhatItKept) {
  EXPECT_FALSE(cache_.read(kHere)) << "nothing kept yet";
  ASSERT_TRUE(cache_.keep(kHere, profile_here()));
  const auto kept = cache_.read(kHere);
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->measured, profile_here().measured);
  EXPECT_EQ(kept->compute[0].kernels.time(kZero)->value, 1e-6);
  const fs::path directory = cache_.path(kHere).parent_path();
  EXPECT_EQ(std::distance(fs::directory_iterator(directory), fs::directory_iterator()), 1) << "no temporary file is left";
}

TEST_F(Cache, AnotherCombinationIsAnotherFile) {
  ASSERT_TRUE(cache_.keep(kHere, profile_here()));
  for (const Combination& other : {Combination{kernels::Order::fma, kHere.family, 2}, Combination{kHere.order, kernels::Family::avx512, 2},
                                   Combination{kHere.order, kHere.family, 1}}) {
    EXPECT_NE(cache_.path(other), cache_.path(kHere));
    EXPECT_FALSE(cache_.read(other));
  }
}

TEST_F(Cache, WhatIsDamagedOrOfAnotherMachineIsAsGoodAsNone) {
  ASSERT_TRUE(cache_.keep(kHere, profile_here()));
  for (const char* text : {"", "not toml = = 1", "version = 1\nprocessor = \"x\"\nmeasured = \"now\"\n"}) {
    write(text);
    EXPECT_FALSE(cache_.read(kHere)) << text;
  }
  cluster::Profile other = profile_here();
  other.processor = "another processor";
  write(cluster::to_toml(other));
  EXPECT_FALSE(cache_.read(kHere)) << "of another processor";
  other = profile_here();
  other.compute[0].threads = 1;
  write(cluster::to_toml(other));
  EXPECT_FALSE(cache_.read(kHere)) << "of another number of threads";
  ASSERT_TRUE(cache_.keep(kHere, profile_here())) << "and is replaced";
  EXPECT_TRUE(cache_.read(kHere));
}

TEST_F(Cache, WhereItCannotBeWrittenNothingIsKept) {
  const fs::path file = folder_.path() / "file";
  std::ofstream(file) << "no directory";
  for (const ProfileCache& none : {ProfileCache(std::nullopt), ProfileCache(file), ProfileCache("/proc/none")}) {
    EXPECT_FALSE(none.keep(kHere, profile_here()));
    EXPECT_FALSE(none.read(kHere));
  }
}

class Environment : public testing::Test {
 protected:
  void TearDown() override {
    set("XDG_CACHE_HOME", cache_);
    set("HOME", home_);
  }
  static std::optional<std::string> get(const char* name) {
    const char* value = std::getenv(name);
    return value ? std::optional<std::string>(value) : std::nullopt;
  }
  static void set(const char* name, const std::optional<std::string>& value) { value ? setenv(name, value->c_str(), 1) : unsetenv(name); }
  const std::optional<std::string> cache_ = get("XDG_CACHE_HOME"), home_ = get("HOME");
};

TEST_F(Environment, TheCacheIsWhereTheXdgSpecificationSays) {
  set("XDG_CACHE_HOME", "/elsewhere");
  set("HOME", "/home/someone");
  EXPECT_EQ(user_cache(), fs::path("/elsewhere/longhaul"));
  for (const std::optional<std::string>& ignored : {std::optional<std::string>(), {""}, {"relative"}}) {
    set("XDG_CACHE_HOME", ignored);
    EXPECT_EQ(user_cache(), fs::path("/home/someone/.cache/longhaul"));
  }
  set("HOME", std::nullopt);
  EXPECT_FALSE(user_cache());
}

TEST(Age, IsTheTimeSinceItWasMeasured) {
  cluster::Profile profile = profile_here();
  profile.measured = ledger::utc_now();
  EXPECT_LT(age(profile).value, 60);
  profile.measured = "2020-01-01T00:00:00.000Z";
  EXPECT_GT(age(profile).value, 5 * 365 * 86400.0);
  profile.measured = "2999-01-01T00:00:00.000Z";
  EXPECT_EQ(age(profile).value, 0);
  profile.measured = "one day";
  EXPECT_EQ(age(profile).value, 0);
}

}  // namespace
}  // namespace longhaul::machine
