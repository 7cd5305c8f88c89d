#include "console.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <memory>

namespace longhaul::app {

train::Console make_console() {
  const bool terminal = isatty(STDERR_FILENO) != 0;
  const auto live = std::make_shared<bool>(false);  // a live line is on the screen
  train::Console console;
  console.say = [live](const std::string& line) {
    fmt::print(stderr, "{}{}\n", *live ? "\r\x1b[K" : "", line);
    std::fflush(stderr);
    *live = false;
  };
  console.live = [live, terminal](const std::string& line) {
    if (!terminal) return;
    fmt::print(stderr, "\r\x1b[K{}", line);
    std::fflush(stderr);
    *live = true;
  };
  return console;
}

}  // namespace longhaul::app
