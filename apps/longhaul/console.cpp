#include "console.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <iostream>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "units/format.h"

namespace longhaul::app {
namespace {

template <typename Json>
void print_document(const Json& document, int indent) {
  std::cout << document.dump(indent, ' ', false, Json::error_handler_t::replace) << '\n';
}

/// The live line of a terminal.
class LiveLine {
 public:
  LiveLine() = default;
  ~LiveLine() { clear(); }
  LiveLine(const LiveLine&) = delete;
  LiveLine& operator=(const LiveLine&) = delete;

  void say(const std::string& line) {
    clear();
    complain(line);
  }
  void live(const std::string& line) {
    std::fputs((kClear + line).c_str(), stderr);
    std::fflush(stderr);
    shown_ = true;
  }
  void begin(const std::string& line) { live(line); }

 private:
  void clear() {
    if (!std::exchange(shown_, false)) return;
    std::fputs(kClear.c_str(), stderr);
    std::fflush(stderr);
  }
  const std::string kClear = "\r\x1b[K";
  bool shown_ = false;
};

/// The live line of a log. A thread of its own prints it, so that work that reports nothing while it lasts is told of too.
class LogLine {
 public:
  LogLine() = default;
  ~LogLine() {
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
    }
    changed_.notify_one();
    if (printer_.joinable()) printer_.join();
  }
  LogLine(const LogLine&) = delete;
  LogLine& operator=(const LogLine&) = delete;

  void say(const std::string& line) {
    const std::lock_guard lock(mutex_);
    complain(line);
    line_.clear();  // the work is done, or its next live line comes
  }
  void live(const std::string& line) {
    const std::lock_guard lock(mutex_);
    line_ = line;
    if (!printer_.joinable()) start();
  }
  void begin(const std::string& line) {
    {
      const std::lock_guard lock(mutex_);
      line_ = line;
      start();
    }
    changed_.notify_one();
  }

 private:
  using Clock = std::chrono::steady_clock;

  void start() {
    begun_ = Clock::now();
    after_ = kFirst;
    if (!printer_.joinable()) printer_ = std::thread([this] { print(); });
  }
  void print() {
    std::unique_lock lock(mutex_);
    while (!ended_) {
      const Clock::time_point due = begun_ + after_;
      if (Clock::now() < due) {
        changed_.wait_until(lock, due);
        continue;
      }
      if (!line_.empty()) complain(fmt::format("{} (after {})", line_, format(Seconds(std::chrono::duration<double>(after_).count()))));
      after_ *= 2;
    }
  }

  static constexpr std::chrono::seconds kFirst{2};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string line_;
  Clock::time_point begun_;
  Clock::duration after_{kFirst};
  bool ended_ = false;
  std::thread printer_;
};

template <typename Line>
train::Console console_of(const std::shared_ptr<Line>& line) {
  return {[line](const std::string& text) { line->say(text); }, [line](const std::string& text) { line->live(text); },
          [line](const std::string& text) { line->begin(text); }};
}

}  // namespace

void complain(const std::string& line) {
  // Not fmt::print: it throws where nobody reads, and a log that cannot be written must not end what it tells of.
  std::fputs((line + "\n").c_str(), stderr);
  std::fflush(stderr);
}

train::Console make_console() {
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe is a write that fails, not the end of a run
  return isatty(STDERR_FILENO) != 0 ? console_of(std::make_shared<LiveLine>()) : console_of(std::make_shared<LogLine>());
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
