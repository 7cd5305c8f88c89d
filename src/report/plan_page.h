// report/plan_page.h — a plan as one self-contained page: what it comes to, memory by line and over the step, the step as a timeline,
// curves of bubble and activations, the learning rate, the loss surface, the layouts considered, and every figure with its explanation.
//
// Nothing is computed here that the planner does not compute: the page draws its figures.
#pragma once

#include <string>

#include "config/run_config.h"
#include "plan/account.h"
#include "plan/explain/explain.h"
#include "plan/forecast.h"
#include "plan/search.h"
#include "program/program.h"
#include "scaling/law.h"

namespace longhaul::report {

/// A plan on a cluster.
struct ClusterPlan {
  const plan::Forecast& forecast;
  const cost::Calibration& calibration;
  const config::RunConfig& config;   ///< its learning rate
  const plan::SearchResult& search;  ///< layouts considered for the same run
  const scaling::Law& law;
};
std::string plan_page(const ClusterPlan& plan);

/// A plan of this machine at one rank.
struct MachinePlan {
  const plan::Account& account;
  const config::RunConfig& config;
  const program::Program& step;
  std::vector<Seconds> operation_times;  ///< of the step's operations, in order
  const scaling::Law& law;
};
std::string plan_page(const MachinePlan& plan);

}  // namespace longhaul::report
