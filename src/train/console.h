// train/console.h — what the person at the console is told: an interface, so that the loop need not know a terminal from a log file.
#pragma once

#include <functional>
#include <string>

namespace longhaul::train {

struct Console {
  std::function<void(const std::string&)> say;    ///< a line that stays
  std::function<void(const std::string&)> live;   ///< the progress line, replaced by the next
  std::function<void(const std::string&)> begin;  ///< likewise, and other work begins with it that may take seconds
};

}  // namespace longhaul::train
