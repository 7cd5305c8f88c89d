#include "machine/process.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>
#include <vector>

namespace longhaul::machine {
namespace {

TEST(Process, ResidentMemoryGrowsByWhatIsTouched) {
  const Resident before = resident();
  EXPECT_GT(before.anonymous.value, 0);
  EXPECT_GE(before.all.value, before.anonymous.value) << "all of it holds the anonymous part";
  const std::vector<char> touched(std::size_t{64} << 20, 'x');
  EXPECT_GE(resident().anonymous.value - before.anonymous.value, std::int64_t{60} << 20) << touched.back();
  EXPECT_GE(resident_peak().value, resident().all.value - (std::int64_t{1} << 20));
}

TEST(Process, ItsAgeGrowsWithTheClock) {
  const Seconds first = process_age();
  EXPECT_GE(first.value, 0);
  EXPECT_LT(first.value, 600) << "of this test";
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  const double passed = process_age().value - first.value;
  EXPECT_GE(passed, 0.029);
  EXPECT_LT(passed, 10);
}

TEST(Process, NamesTheMachine) {
  EXPECT_FALSE(processor_name().empty());
  EXPECT_GE(usable_processors(), 1);
}

}  // namespace
}  // namespace longhaul::machine
