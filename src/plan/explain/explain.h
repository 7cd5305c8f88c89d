// plan/explain/explain.h — a figure of the plan explained: its formula, the same with this plan's numbers and units, its source, what would
// change it.
//
// Explaining computes nothing of its own: a figure is the plan's, or comes from the library function that the plan calls; the numbers of
// the formula are what that function reads. The test evaluates every formula (expression.h) and compares it with the figure. What would
// change a figure is found by making the forecast anew with one thing changed.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plan/account.h"
#include "plan/forecast.h"

namespace longhaul::plan {

enum class Unit : std::uint8_t {
  number,
  bytes,
  bytes_per_parameter,
  bytes_per_token,
  bytes_per_second,
  parameters,
  tokens,
  tokens_per_second,
  seconds,
  flops,
  flops_per_second,
  share,  ///< 0 to 1, printed in percent
  dollars,
};
/// With its unit; a plain number with six digits.
std::string format(double value, Unit unit);

/// A symbol of a formula. With a formula of its own it is worked out from the symbols before it, else it is read from the plan.
struct Term {
  std::string symbol, meaning;
  double value = 0;
  Unit unit{};
  std::string formula;
};

/// One thing changed, and the figure then.
struct Lever {
  std::string change;
  double value = 0;
  std::string but;  ///< what else that brings: it no longer fits, the framework stalls; else empty
};

struct Explanation {
  std::string id, title;
  std::string pointer;          ///< where the figure stands in `plan --json` (RFC 6901); empty where it does not
  std::optional<double> value;  ///< absent where the plan was not told what it depends on; `missing` says what
  Unit unit{};
  std::string formula;      ///< in the symbols of `terms`
  std::vector<Term> terms;  ///< no others; those that are worked out come after what they need
  std::string source;
  std::vector<Lever> levers;
  std::vector<std::string> notes;  ///< what is commonly got wrong, and the like
  std::string missing;
};

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
