// units/error.h — errors caused by input, files or configuration, each with the exit code of its kind.
//
// A message states what is wrong, where (file, line, field), what is allowed and the nearest fix; the command prints it unchanged.
// Programming mistakes are assertions, not these.
#pragma once

#include <stdexcept>
#include <string>

namespace longhaul {

enum class ExitCode : int { done = 0, failed = 1, usage = 2, damaged = 3, stopped_by_guard = 4, preempted = 75 };

class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message, ExitCode code = ExitCode::failed) : std::runtime_error(message), code_(code) {}
  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

/// Wrong command line, run file or combination of options.
struct UsageError : Error {
  explicit UsageError(const std::string& message) : Error(message, ExitCode::usage) {}
};
/// A dataset, vocabulary or shard that is missing, damaged or does not belong to the run.
struct DataError : Error {
  explicit DataError(const std::string& message) : Error(message, ExitCode::damaged) {}
};
/// A checkpoint that is damaged or does not belong to this run.
struct CheckpointError : Error {
  explicit CheckpointError(const std::string& message) : Error(message, ExitCode::damaged) {}
};

}  // namespace longhaul
