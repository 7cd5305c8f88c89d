#include "scaling/text.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "units/format.h"

namespace longhaul::scaling {

std::string count_text(double count) {
  constexpr double kMost = 9e18;
  if (!(count < kMost)) return fmt::format("{:.3g}", count);
  if (count < 10) return fmt::format("{:.2g}", count);
  const std::string text = format(Tokens(std::llround(count)));
  return text.substr(0, text.rfind(' '));
}

std::string flops_text(double flops) { return fmt::format("{:.3g} FLOP", flops); }

std::string range_text(const std::optional<Range>& range) {
  return range ? fmt::format("[{}, {}]", count_text(range->low), count_text(range->high)) : "";
}

std::string loss_text(double loss, const std::optional<Range>& interval) {
  return interval ? fmt::format("{:.3f} [{:.3f}, {:.3f}]", loss, interval->low, interval->high) : fmt::format("{:.3f}", loss);
}

nlohmann::json range_json(const std::optional<Range>& range) { return range ? nlohmann::json{range->low, range->high} : nlohmann::json(); }

nlohmann::json allocation_json(const Allocation& at) {
  return {{"parameters", at.parameters}, {"tokens", at.tokens}, {"tokens_per_parameter", at.tokens_per_parameter()}, {"flops", at.flops()}};
}

nlohmann::json advice_json(const Advice& advice) {
  nlohmann::json out = allocation_json(advice.at);
  out["loss"] = advice.loss ? nlohmann::json(*advice.loss) : nlohmann::json();
  out["interval_80"] = {{"parameters", range_json(advice.parameters)},
                        {"tokens", range_json(advice.tokens)},
                        {"tokens_per_parameter", range_json(advice.tokens_per_parameter)},
                        {"loss", range_json(advice.loss_interval)}};
  out["extrapolation"] = advice.beyond ? nlohmann::json(*advice.beyond) : nlohmann::json();
  return out;
}

std::string beyond_text(const std::optional<double>& beyond) {
  if (!beyond) return "";
  return fmt::format("{:.3g} × the {} run", *beyond, *beyond > 1 ? "largest" : "smallest");
}

}  // namespace longhaul::scaling
