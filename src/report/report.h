// report/report.h — a run's page: plan beside measurement, from the ledger and plan.json alone.
//
// One self-contained HTML file, readable in light and dark and on a telephone. The ledger is the only source of what happened; plan.json
// is what was said before. Made anew at any time, also while the run goes on.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "report/comparison.h"

namespace longhaul::report {

struct Report {
  std::vector<ComparedLine> comparison;
  std::string html;
};
/// @throws DataError when the directory is no run's or its ledger is damaged
Report make_report(const std::filesystem::path& run_directory);

}  // namespace longhaul::report
