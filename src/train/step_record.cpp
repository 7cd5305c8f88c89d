#include "train/step_record.h"

namespace longhaul::train {

void StepClock::split_program(const Executor& executor) {
  double& whole = phases_["program"];
  const std::vector<program::Operation>& operations = executor.program().operations;
  for (std::size_t i = 0; i < operations.size(); ++i) {
    if (operations[i].phase != program::Phase::gradients) continue;
    phases_[std::string(program::ledger_phase(operations[i]))] += executor.seconds()[i];
    whole -= executor.seconds()[i];
  }
  phases_.erase("program");  // what is left of it, the time between operations, belongs to "other"
}

ledger::Timing StepClock::finish(std::int64_t tokens) {
  const Clock::time_point now = Clock::now();
  ledger::Timing timing;
  timing.time = ledger::utc_now();
  timing.step_seconds = std::chrono::duration<double>(now - start_).count();
  double claimed = 0;
  for (const auto& [phase, seconds] : phases_) claimed += seconds;
  phases_["other"] = timing.step_seconds - claimed;
  timing.phase_seconds = std::exchange(phases_, {});
  double training = timing.step_seconds;
  for (const char* apart : {"validate", "hash", "checkpoint"})
    if (const auto phase = timing.phase_seconds.find(apart); phase != timing.phase_seconds.end()) training -= phase->second;
  timing.tokens_per_second = static_cast<double>(tokens) / training;
  start_ = now;
  return timing;
}

}  // namespace longhaul::train
