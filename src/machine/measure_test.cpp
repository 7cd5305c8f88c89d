#include "machine/measure.h"

#include <gtest/gtest.h>

#include "files/testing.h"
#include "machine/process.h"

namespace longhaul::machine {
namespace {

using cluster::Kernel;
using cluster::KernelCall;

const Combination kMeasured{kernels::Order::fma, kernels::Family::avx2, 1};
const KernelCall kZeroing{Kernel::zero, {4096, 1, 1, 1, 1}}, kAdd{Kernel::add, {4096, 1, 1, 1, 1}},
    kGelu{Kernel::gelu_backward, {64, 64, 1, 1, 1}};

class Measured : public testing::Test {
 protected:
  files::testing::TemporaryDirectory folder_;
  ProfileCache cache_{folder_.path()};
  int timed_ = 0;
  Watch watch_{[this](const std::string&) { ++timed_; }};
};

/// Of this machine, and of a year in which nothing here was measured.
cluster::Profile made_up() {
  cluster::Profile profile{processor_name(), "2020-01-31T12:00:00.000Z", {{"fma", "avx2", 1, 1e9}}};
  profile.compute[0].kernels.add({kZeroing, Seconds(7.0)});
  return profile;
}

TEST_F(Measured, WhatIsKnownIsNotMeasuredAgain) {
  EXPECT_FALSE(kept_profile(cache_, kMeasured, {kZeroing, kAdd}));
  const cluster::Profile first = measured_profile(cache_, kMeasured, {kZeroing, kAdd}, Measure::what_is_missing, watch_);
  EXPECT_TRUE(knows(first, kMeasured, {kZeroing, kAdd}));
  EXPECT_GT(first.compute[0].peak_flops, 0);
  EXPECT_GT(timed_, 0);
  timed_ = 0;
  const auto kept = kept_profile(cache_, kMeasured, {kZeroing, kAdd});
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->compute[0].kernels.time(kZeroing)->value, first.compute[0].kernels.time(kZeroing)->value);
  measured_profile(cache_, kMeasured, {kZeroing}, Measure::what_is_missing, watch_);
  EXPECT_EQ(timed_, 0);
}

TEST_F(Measured, WhatIsMissingIsAddedAndTheRestStays) {
  const cluster::Profile old = made_up();
  ASSERT_TRUE(cache_.keep(kMeasured, old));
  EXPECT_FALSE(kept_profile(cache_, kMeasured, {kZeroing, kGelu}));
  measured_profile(cache_, kMeasured, {kZeroing, kGelu}, Measure::what_is_missing, watch_);
  const auto more = kept_profile(cache_, kMeasured, {kZeroing, kGelu});
  ASSERT_TRUE(more);
  EXPECT_EQ(more->compute[0].kernels.time(kZeroing)->value, 7.0);
  EXPECT_EQ(more->compute[0].peak_flops, 1e9);
  EXPECT_EQ(more->measured, old.measured) << "no younger than its oldest rate";
  measured_profile(cache_, kMeasured, {kZeroing}, Measure::anew, watch_);
  const auto fresh = cache_.read(kMeasured);
  ASSERT_TRUE(fresh);
  EXPECT_LT(fresh->compute[0].kernels.time(kZeroing)->value, 1.0);
  EXPECT_FALSE(fresh->compute[0].kernels.measured(kGelu));
  EXPECT_NE(fresh->measured, old.measured);
}

TEST_F(Measured, EndsWhereItIsEnoughAndKeepsWhatThereIs) {
  watch_.enough = [this] { return timed_ >= 1; };
  const cluster::Profile part = measured_profile(cache_, kMeasured, {kZeroing, kAdd}, Measure::what_is_missing, watch_);
  EXPECT_EQ(part.compute[0].kernels.points().size(), 1U);
  EXPECT_FALSE(knows(part, kMeasured, {kZeroing, kAdd}));
  ASSERT_TRUE(cache_.read(kMeasured));
  EXPECT_LT(missing_time(cache_, kMeasured, {kZeroing, kAdd}).value,
            missing_time(ProfileCache(std::nullopt), kMeasured, {kZeroing, kAdd}).value);
}

TEST(Known, ACalibratedMachineKnowsEveryShapeOfItsKernels) {
  cluster::Profile profile = made_up();
  const KernelCall larger{Kernel::zero, {1 << 20, 1, 1, 1, 1}};
  EXPECT_FALSE(knows(profile, kMeasured, {larger}));
  profile.memory.push_back({1, 1e10});
  EXPECT_TRUE(knows(profile, kMeasured, {larger}));
  EXPECT_FALSE(knows(profile, kMeasured, {kAdd})) << "a kernel without any point";
}

}  // namespace
}  // namespace longhaul::machine
