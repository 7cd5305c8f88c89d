// report/comparison.h — plan compared with measurement, line by line: what a run's plan says and what its ledger says happened.
//
// A line exists where the plan has it; its measured twin may be missing (a run of fewer than ten steps, a plan of an older version).
// Step times are medians over the records, without what the plan leaves out: validation, hashes and saves.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "ledger/ledger.h"

namespace longhaul::report {

enum class Unit : std::uint8_t { count, bytes, seconds, tokens_per_second, fraction };

struct ComparedLine {
  std::string part;  ///< "model", "memory", "step", "phase" (of the ledger), "operation" (by name in ids)
  std::string name;  ///< unique in its part
  Unit unit{};
  std::optional<double> planned{};  ///< nothing for what the plan leaves out (data, other)
  std::optional<double> measured{};
  /// Planned ÷ measured; nothing where either is missing or nothing.
  std::optional<double> ratio() const;
};

/// Operations by falling planned time.
std::vector<ComparedLine> compare(const nlohmann::json& plan, const std::vector<ledger::Record>& records,
                                  const std::vector<nlohmann::json>& events);

/// A line as texts: name, planned, measured, planned ÷ measured.
std::vector<std::string> cells(const ComparedLine& line);
/// Aligned columns under the names of the parts.
std::string to_text(const std::vector<ComparedLine>& lines);
/// {part: {name: {"planned", "measured", "ratio"}}}; null where missing.
nlohmann::json to_json(const std::vector<ComparedLine>& lines);

}  // namespace longhaul::report
