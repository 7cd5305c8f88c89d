// report/plan_sections.h — what the pages of plans on a cluster, plans of this machine and runs have in common.
#pragma once

#include <string>
#include <vector>

#include "plan/explain/explain.h"
#include "program/program.h"
#include "report/plot.h"
#include "train/schedule.h"

namespace longhaul::report {

/// A figure at the top of the page; a click leads to its explanation.
struct Card {
  std::string name, value;
  std::string explanation{};  ///< id of plan/explain/explain.h, or empty
  std::string note{};
};
std::string cards(const std::vector<Card>& cards);

/// Every figure with its formula, numbers, source and what would change it; grouped by the first word of their ids.
std::string explanations(const std::vector<plan::Explanation>& all);

/// The learning rate over the steps of a run. @param seen  what a run recorded; empty where there is none
std::string schedule_plot(const train::Schedule& schedule, const Series& seen = {});

/// Lines of equal loss and equal compute over parameters and tokens, the compute-optimal path, and a run's place, by a law that has a
/// surface. Parameters as the law counts them.
std::string loss_surface(const scaling::Law& law, const scaling::Allocation& run);

/// Bytes live at each operation of a step, by line, exact from the buffers' lifetimes.
/// @param ends  seconds at which each operation ends
std::string program_memory_plot(const program::Program& step, const std::vector<double>& ends);

}  // namespace longhaul::report
