// scaling/text.h — counts, losses and their ranges as the reports of this folder print them.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "scaling/law.h"

namespace longhaul::scaling {

/// "2.89 B", "57.7 B"; beyond 64 bits "1.20e+19".
std::string count_text(double count);
/// "1e+21 FLOP", in powers of ten always: budgets are compared by them.
std::string flops_text(double flops);
/// "[2.1 B, 3.9 B]"; empty without a range.
std::string range_text(const std::optional<Range>& range);
std::string loss_text(double loss, const std::optional<Range>& interval);
/// [low, high], null without a range.
nlohmann::json range_json(const std::optional<Range>& range);
/// {"parameters", "tokens", "tokens_per_parameter", "flops"}.
nlohmann::json allocation_json(const Allocation& at);
/// What an Advice says, with its intervals.
nlohmann::json advice_json(const Advice& advice);
/// "12 × the largest run", "0.2 × the smallest run"; empty within.
std::string beyond_text(const std::optional<double>& beyond);

}  // namespace longhaul::scaling
