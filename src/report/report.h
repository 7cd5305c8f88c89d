// report/report.h — a run's page: its loss, then plan compared with measurement, from the ledger and the run's own plan alone.
//
// One self-contained HTML file, readable in light and dark and on a telephone. The ledger is the only source of what happened; the plan
// is what `train` wrote: plan.json when the run began, plan-<launch>.json when this machine's kernels had been measured. Nothing is
// planned anew, so a page made on another machine or by another version shows the same. Made at any time, also while the run goes on.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "report/comparison.h"
#include "report/plan_document.h"

namespace longhaul::report {

struct Report {
  std::vector<ComparedLine> comparison;
  PlanDocument plan;  ///< the newest that has times, else plan.json
  std::string html;
};
/// @throws DataError when the directory is no run's or its ledger is damaged
Report make_report(const std::filesystem::path& run_directory);

}  // namespace longhaul::report
