// report/timeline.h — slices on rows against time, with zoom and the operation under the pointer (assets/timeline.js).
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace longhaul::report {

struct Timeline {
  struct Slice {
    std::size_t row = 0, kind = 0;
    double begin = 0, end = 0;  ///< seconds
    std::string label;
  };
  std::string title;
  std::vector<std::string> rows;   ///< names
  std::vector<std::string> kinds;  ///< names; each has a colour
  std::vector<Slice> slices;       ///< of a row in order of time, none inside another
  std::string note;
};

/// A page stays light up to so many slices, about 2 MB.
inline constexpr std::size_t kMostSlices = 60'000;

/// <figure class='timeline'>; empty when there is nothing to draw. Of more than kMostSlices the first in time are drawn, and the note says
/// so.
std::string to_html(const Timeline& timeline);

}  // namespace longhaul::report
