#include "console.h"

#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

namespace longhaul::app {
namespace {

template <typename Json>
void print_document(const Json& document, int indent) {
  std::cout << document.dump(indent, ' ', false, Json::error_handler_t::replace) << '\n';
}

}  // namespace

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

void print_json(const nlohmann::json& document, int indent) { print_document(document, indent); }
void print_json(const nlohmann::ordered_json& document, int indent) { print_document(document, indent); }

bool everything_printed() {
  const bool written = std::cout.flush().good();
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0 && written) return true;
  complain("standard output could not be written to its end: is the disk full, or did its reader end?");
  return false;
}

}  // namespace longhaul::app
