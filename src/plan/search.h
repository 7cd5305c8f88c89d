// plan/search.h — the best layouts of a run on a cluster, and why each of the others lost.
//
// Every layout of the space is looked at, in rising cost: contradictions by rule, then memory, then the least time its pipeline could take
// (bound_step, never above the estimate), and only what could still be among the best is simulated. What is left out is proven to be
// no better, so the result is that of simulating all.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cost/calibration.h"
#include "cost/memory.h"
#include "cost/run_shape.h"
#include "cost/step.h"
#include "plan/search_space.h"

namespace longhaul::plan {

enum class Objective : std::uint8_t { time, device_hours, memory };

struct SearchOptions {
  Objective objective = Objective::time;
  std::size_t keep = 10;
  double device_memory = 0;   ///< bytes of a device, as its maker states them
  bool simulate_all = false;  ///< everything that fits, for comparison: no bounds
  std::function<void(std::size_t done, std::size_t all)> progress = [](std::size_t, std::size_t) {};
};

/// How far a layout came.
enum class Outcome : std::uint8_t {
  contradiction,  ///< it cannot run; `reason` names the fields
  too_large,      ///< it does not fit, or the framework refuses it; `reason` names stage and line
  bounded,        ///< at best `seconds`, which is not enough
  simulated,      ///< takes `seconds`
};

struct Considered {
  cost::RunShape run;
  Outcome outcome{};
  std::string reason;
  double seconds = 0;  ///< of a step: simulated, or the least possible
  double memory = 0;   ///< bytes of the fullest rank; 0 for contradictions
  double figure = 0;   ///< what the objective ranks by, from `seconds`: step seconds, device-seconds, bytes
};

struct SearchResult {
  std::vector<Considered> all;
  std::vector<std::size_t> best;  ///< indices, best first; of equals the faster, then by the layout's text
  double seconds = 0, simulation_seconds = 0;
  std::size_t count(Outcome outcome) const;
};

/// @param shapes what is considered: enumerate() of one or several numbers of devices
SearchResult search(std::vector<cost::RunShape> shapes, const cost::Calibration& calibration, const SearchOptions& options);

/// Why a layout is not the best: its contradiction, what does not fit, or which parts of the step take longer than the best one's.
std::string why_lost(const SearchResult& result, std::size_t index, const cost::Calibration& calibration);

/// For each key that the space varies and each value: the layout that has it and does best, by its bound where it was not simulated.
struct Alternative {
  std::string key, value;
  std::optional<std::size_t> best;  ///< absent where no layout with it can run
  std::size_t considered = 0;
};
std::vector<Alternative> alternatives(const SearchResult& result);

}  // namespace longhaul::plan
