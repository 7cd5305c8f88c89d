// apps/longhaul/progress_line.h — the live line of work whose size is known: from the second second of a phase on, its share done and the
// time left at the phase's own speed.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "console.h"

namespace longhaul::app {

class ProgressLine {
 public:
  explicit ProgressLine(const train::Console& console) : console_(console) {}
  /// @param phase  what is done, such as "encoding"; another one begins anew
  void show(const std::string& phase, std::int64_t done, std::int64_t total);

 private:
  using Clock = std::chrono::steady_clock;
  const train::Console& console_;
  std::string phase_;
  Clock::time_point begin_, shown_;
};

}  // namespace longhaul::app
