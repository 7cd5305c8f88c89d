// files/testing.h — for tests of files: a temporary directory, faults at the k-th operation, child processes that crash.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <string>

#include "files/disk.h"

namespace longhaul::files::testing {

/// A fresh directory, removed with all it holds at the end of the test. In memory where possible: hundreds of saves with an fsync for each
/// file take minutes on a disk, and a process that dies loses no more of one than of the other.
class TemporaryDirectory {
 public:
  TemporaryDirectory() : path_(root() / ("longhaul-test-" + random_uuid())) { std::filesystem::create_directories(path_); }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  static std::filesystem::path root() {
    return ::access("/dev/shm", W_OK | X_OK) == 0 ? std::filesystem::path("/dev/shm") : std::filesystem::temp_directory_path();
  }
  std::filesystem::path path_;
};

inline std::string slurp(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
inline void spill(const std::filesystem::path& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }
inline void flip_bit(const std::filesystem::path& path, std::size_t byte, int bit) {
  std::string text = slurp(path);
  text.at(byte) = static_cast<char>(text.at(byte) ^ (1 << bit));
  spill(path, text);
}

/// Fails the k-th operation from now (0 = the next) with `error`; with `sticky`, all after it too. k < 0: never, but operations are
/// counted.
struct FaultPlan {
  int fail_at = -1;
  int error = EIO;
  bool sticky = false;
  bool die = false;  ///< _exit(9) instead: a crash
  int count = 0;
};
inline Disk faulty_disk(const std::shared_ptr<FaultPlan>& plan) {
  return Disk([plan](Operation, const std::filesystem::path&) {
    const int now = plan->count++;
    const bool strike = plan->fail_at >= 0 && (now == plan->fail_at || (plan->sticky && now > plan->fail_at));
    if (strike && plan->die) ::_exit(9);
    return strike ? plan->error : 0;
  });
}

/// Runs `work` in a child; its exit code, or 128 + the signal that ended it. A thrown exception is exit code 99.
inline int run_child(const std::function<int()>& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    int code = 99;
    try {
      code = work();
    } catch (...) {
    }
    ::_exit(code);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// The message of the Error that `work` throws; empty if it throws none.
template <class Kind = Error>
std::string message_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const Kind& error) {
    return error.what();
  }
  return {};
}

}  // namespace longhaul::files::testing
