// train/step_record.h — the stopwatch of one step: every phase timed under its name, the names adding up to the step (accounting F6).
//
// The clock runs from the end of the step before to the end of this one, so a save between two steps is a phase of the later one and
// no second of the run is unaccounted for; what no phase claims is "other".
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <utility>

#include "ledger/record.h"
#include "train/executor.h"

namespace longhaul::train {

class StepClock {
 public:
  using Clock = std::chrono::steady_clock;

  /// Runs `work` and adds its time to the phase.
  template <typename Work>
  auto time(const std::string& phase, Work&& work) {
    const Stopwatch watch{phases_[phase], Clock::now()};
    return std::forward<Work>(work)();
  }
  /// Splits what was timed as "program" into forward, recompute, backward and reduce by the operations' own times.
  void split_program(const Executor& executor);
  /// The phases since the last call, "other" included; starts the next step. tokens/s leave out validation, hashes and saves.
  ledger::Timing finish(std::int64_t tokens);

 private:
  struct Stopwatch {
    double& seconds;
    Clock::time_point start;
    ~Stopwatch() { seconds += std::chrono::duration<double>(Clock::now() - start).count(); }
  };
  std::map<std::string, double> phases_;
  Clock::time_point start_ = Clock::now();
};

}  // namespace longhaul::train
