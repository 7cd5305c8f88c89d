// plan/explain/explanation.h — one figure explained, as values: formula, symbols, source, levers. Made by plan/explain/explain.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

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

}  // namespace longhaul::plan
