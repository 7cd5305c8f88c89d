// cost/parameter_key.h — whose a parameter of the calibration is: an accelerator, a link tier, a framework and a type of numbers.
#pragma once

#include <compare>
#include <string>

#include "cost/run_shape.h"

namespace longhaul::cost {

/// Each may be "*", which matches any.
struct ParameterKey {
  std::string accelerator = "*", link = "*", framework = "*", dtype = "*";
  auto operator<=>(const ParameterKey&) const = default;
};

/// The key under which this run's parameters are looked up: link is "node" on one node, else the network tier, or "network".
ParameterKey parameter_key(const RunShape& run);

}  // namespace longhaul::cost
