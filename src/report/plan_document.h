// report/plan_document.h — the plan that a run's report compares with: read from the run's directory, never made anew.
//
// `train` writes plan.json when a run begins, without times where this machine's kernels were not measured yet, and plan-<launch>.json
// when they were.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace longhaul::report {

struct PlanDocument {
  std::string file;  ///< its name in the run's directory
  nlohmann::json document;
  std::optional<std::string> rates;  ///< where its kernels' seconds come from; nothing where it has no times
  /// "plan.json, time estimated from kernels measured …", or that it is unmeasured.
  std::string basis() const;
};

/// The plan of the newest launch that has times; plan.json where none has.
/// @throws DataError  plan.json is not there, or a plan is damaged
PlanDocument newest_plan(const std::filesystem::path& run_directory);

}  // namespace longhaul::report
