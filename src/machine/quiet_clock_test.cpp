#include "machine/quiet_clock.h"

#include <gtest/gtest.h>

#include <chrono>
#include <ctime>
#include <thread>

namespace longhaul::machine {
namespace {

using Clock = std::chrono::steady_clock;
double since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

void work_for(double seconds) {
  const Clock::time_point begin = Clock::now();
  while (since(begin) < seconds) {
  }
}

TEST(QuietClock, IsNeverMoreThanTheWallTimeNorLessThanTheThreadsOwn) {
  QuietClock clock(1);
  const Clock::time_point begin = Clock::now();
  clock.start();
  timespec before{}, after{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
  work_for(0.05);
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
  const double quiet = clock.seconds(), wall = since(begin);
  const double own = static_cast<double>(after.tv_sec - before.tv_sec) + 1e-9 * static_cast<double>(after.tv_nsec - before.tv_nsec);
  EXPECT_LE(quiet, wall);
  EXPECT_GE(quiet, 0.99 * own);
}

TEST(QuietClock, CountsSleepAsTime) {
  QuietClock clock(1);
  clock.start();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_GE(clock.seconds(), 0.015);
}

TEST(QuietClock, AReadingIsLessThanOnePercentOfWhatItSaysItCanTime) {
  const QuietClock clock(1);
  EXPECT_GT(clock.reading_seconds(), 0);
  EXPECT_LT(clock.reading_seconds(), 1e-3);
  const double shortest = 200 * clock.reading_seconds();
  EXPECT_TRUE(clock.enough_for(shortest));
  EXPECT_FALSE(clock.enough_for(0.9 * shortest));
}

}  // namespace
}  // namespace longhaul::machine
