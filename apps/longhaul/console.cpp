#include "console.h"

#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <memory>

namespace longhaul::app {

void complain(const std::string& line) {
  // Not fmt::print: it throws where nobody reads, and a log that cannot be written must not end what it tells of.
  std::fputs((line + "\n").c_str(), stderr);
  std::fflush(stderr);
}

train::Console make_console() {
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe is a write that fails, not the end of a run
  const bool terminal = isatty(STDERR_FILENO) != 0;
  const auto live = std::make_shared<bool>(false);  // a live line is on the screen
  train::Console console;
  console.say = [live](const std::string& line) {
    complain((*live ? "\r\x1b[K" : "") + line);
    *live = false;
  };
  console.live = [live, terminal](const std::string& line) {
    if (!terminal) return;
    std::fputs(("\r\x1b[K" + line).c_str(), stderr);
    std::fflush(stderr);
    *live = true;
  };
  return console;
}

}  // namespace longhaul::app
