#include "progress_line.h"

#include <fmt/format.h>

#include "units/format.h"

namespace longhaul::app {

void ProgressLine::show(const std::string& phase, std::int64_t done, std::int64_t total) {
  const auto now = Clock::now();
  if (phase != phase_) {
    phase_ = phase;
    begin_ = shown_ = now;
  }
  if (now - begin_ < std::chrono::seconds(1) || now - shown_ < std::chrono::milliseconds(200) || total <= 0 || done <= 0) return;
  shown_ = now;
  const double share = static_cast<double>(done) / static_cast<double>(total);
  const double elapsed = std::chrono::duration<double>(now - begin_).count();
  console_.live(fmt::format("{} {:.0f} %, {} left", phase, 100 * share, format(Seconds(elapsed * (1 - share) / share))));
}

}  // namespace longhaul::app
