// train/launch.h — one launch as the person at the console follows it: clocks, progress line, time left, and medians of its first steps.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/run_config.h"
#include "ledger/record.h"
#include "machine/system_meter.h"
#include "train/console.h"
#include "train/engine.h"
#include "train/step_record.h"

namespace longhaul::train {

class Launch {
 public:
  /// @param first_step  the step that this launch begins with
  Launch(const config::RunConfig& config, Console console, std::int64_t first_step);

  StepClock clock;
  std::optional<double> peak_flops;  ///< matmul peak of this launch's order, family and threads, where it was measured
  std::string plan;                  ///< the file in the run's directory that holds this launch's plan; empty: none

  void say(const std::string& line) const { console_.say(line); }
  void live(const std::string& line) const { console_.live(line); }
  void begin(const std::string& line) const { console_.begin(line); }

  /// Adds to a step's timing what this process holds in memory, and MFU where the peak is known.
  void complete(ledger::Timing& timing);
  /// The step's line: it stays when log.every says so, at a validation and at the end, and is replaced by the next otherwise.
  /// @param due  whether log.every, where it counts steps or tokens, falls on this step
  void show(const ledger::Record& record, bool due);

  /// To be called after each step. After the tenth: what steps 3 to 10 measured, as the fields of two events of the ledger, "memory" (the
  /// process's growth without the peak of a save, accounting G) and "operations" (median seconds by operation).
  std::vector<std::pair<std::string, nlohmann::json>> measure(std::int64_t step, Engine& engine);

  void saved() { last_save_ = StepClock::Clock::now(); }
  double seconds_since_save() const;

 private:
  std::string progress_line(const ledger::Record& record) const;

  config::RunConfig config_;
  Console console_;
  std::int64_t first_step_;
  machine::SystemMeter meter_;
  StepClock::Clock::time_point last_save_, last_line_;
  StepClock::Clock::time_point first_step_ended_;
  Bytes memory_growth_;
  std::map<std::string, std::vector<double>> operation_seconds_;  ///< by name, of each step measured
};

}  // namespace longhaul::train
