// plan/explain/explain.h — a figure of the plan explained: its formula, the same with this plan's numbers and units, its source, what would
// change it.
//
// Explaining computes nothing of its own: a figure is the plan's, or comes from the library function that the plan calls; the numbers of
// the formula are what that function reads. The test evaluates every formula (expression.h) and compares it with the figure. What would
// change a figure is found by making the forecast anew with one thing changed.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "plan/account.h"
#include "plan/explain/explanation.h"
#include "plan/forecast.h"

namespace longhaul::plan {

/// Ids in the order of the plan, with their titles.
std::vector<std::pair<std::string, std::string>> explainable(const Forecast& forecast);
/// @param with_levers whether to make the forecasts that they need, some milliseconds each
/// @throws UsageError for an unknown id, with the nearest one
Explanation explain(const Forecast& forecast, const cost::Calibration& calibration, std::string_view id, bool with_levers = true);

/// The same for one rank of this machine.
std::vector<std::pair<std::string, std::string>> explainable(const Account& account);
Explanation explain(const Account& account, const config::RunConfig& config, std::string_view id);

nlohmann::json to_json(const Explanation& explanation);
std::string to_text(const Explanation& explanation);
/// A line for each id.
nlohmann::json to_json(const std::vector<std::pair<std::string, std::string>>& ids);
std::string to_text(const std::vector<std::pair<std::string, std::string>>& ids);

}  // namespace longhaul::plan
