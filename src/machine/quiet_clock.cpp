#include "machine/quiet_clock.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <ctime>
#include <filesystem>

#include "machine/process.h"

namespace longhaul::machine {
namespace {

double seconds_of(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// The second number of a thread's schedstat: nanoseconds ready without a processor. 0 of a thread that has ended.
double waited_seconds(int schedstat) {
  std::array<char, 128> text{};
  if (pread(schedstat, text.data(), text.size() - 1, 0) <= 0) return 0;
  char* second = nullptr;
  std::strtoull(text.data(), &second, 10);  // time on a processor, as old as the last tick: CLOCK_PROCESS_CPUTIME_ID is not
  return 1e-9 * static_cast<double>(std::strtoull(second, nullptr, 10));
}

}  // namespace

QuietClock::QuietClock(int threads) : processors_(std::min(threads, usable_processors())) {
  std::error_code none;  // no /proc: nothing waited
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task", none))
    if (const int file = open((task.path() / "schedstat").c_str(), O_RDONLY | O_CLOEXEC); file >= 0) schedstats_.push_back(file);
  constexpr int kReadings = 16;
  for (int i = 0; i < kReadings; ++i) {
    const double begin = seconds_of(CLOCK_MONOTONIC);
    read();
    const double took = seconds_of(CLOCK_MONOTONIC) - begin;
    reading_seconds_ = i == 0 ? took : std::min(reading_seconds_, took);
  }
  start();
}

QuietClock::~QuietClock() {
  for (int file : schedstats_) close(file);
}

QuietClock::Reading QuietClock::read() const {
  Reading reading;
  for (int file : schedstats_) reading.waited += waited_seconds(file);
  reading.run = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
  reading.wall = seconds_of(CLOCK_MONOTONIC);
  return reading;
}

void QuietClock::start() { start_ = read(); }

double QuietClock::seconds() const {
  const double wall = seconds_of(CLOCK_MONOTONIC) - start_.wall;
  const Reading now = read();
  return std::min(wall, std::max((now.run - start_.run) / processors_, wall - (now.waited - start_.waited)));
}

}  // namespace longhaul::machine
