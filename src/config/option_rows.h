// config/option_rows.h — how the rows of the option table are written (options_model.cpp, options_run.cpp); private to this room.
#pragma once

#include <limits>
#include <span>
#include <type_traits>

#include "config/option.h"

namespace longhaul::config {

inline constexpr double kNone = 0;
inline constexpr double kUnbounded = std::numeric_limits<double>::infinity();
inline constexpr double kLargest = 1e15;  ///< exact as a double and far above any count of steps or tokens
inline constexpr double kLargestAxis = static_cast<double>(model::kLargestSize);
inline constexpr double kTiny = std::numeric_limits<double>::min();  ///< "greater than zero"
inline constexpr double kBelowOne = 1 - std::numeric_limits<double>::epsilon() / 2;
inline constexpr Effect kReachesBits = Effect::result, kRecorded = Effect::recorded, kNoBits = Effect::none;

/// Any enum of one byte as the byte it is (character types may alias).
template <class Enum>
Field choice(Enum& value) {
  static_assert(std::is_enum_v<Enum> && sizeof(Enum) == 1);
  return reinterpret_cast<std::uint8_t*>(&value);
}

std::span<const Option> run_options();       ///< [run]
std::span<const Option> model_options();     ///< [model]
std::span<const Option> training_options();  ///< [data] … [parallel]
std::span<const Option> watching_options();  ///< [validation] … [log]

}  // namespace longhaul::config
