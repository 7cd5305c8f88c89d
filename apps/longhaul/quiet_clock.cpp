#include "quiet_clock.h"

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <fstream>

#include "train/engine.h"

namespace longhaul::app {
namespace {

double seconds_of(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

}  // namespace

QuietClock::Reading QuietClock::read() {
  Reading reading;
  std::error_code gone;  // a thread that ended meanwhile, or no /proc: nothing waited
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task", gone)) {
    std::ifstream file(task.path() / "schedstat");
    double run = 0, waited = 0;  // nanoseconds; the first is as old as the last tick
    if (file >> run >> waited) reading.waited += 1e-9 * waited;
  }
  reading.run = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
  reading.wall = seconds_of(CLOCK_MONOTONIC);
  return reading;
}

QuietClock::QuietClock(int threads) : processors_(std::min(threads, train::usable_processors())), start_(read()) {}

double QuietClock::seconds() const {
  const double wall = seconds_of(CLOCK_MONOTONIC);
  const Reading now = read();
  return std::min(wall - start_.wall, std::max((now.run - start_.run) / processors_, wall - start_.wall - (now.waited - start_.waited)));
}

}  // namespace longhaul::app
