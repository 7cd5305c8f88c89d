// units/units.h — quantities that cannot be mixed up: Bytes, Flops, Tokens, Params, Seconds.
//
// Each is a number with a tag; only like adds to like, and the few products that mean something (Flops per Seconds …) are functions
// with names. Printing is in units/format.h, always with the unit and, for bytes, with the convention (GB = 1e9, GiB = 2^30).
#pragma once

#include <compare>
#include <cstdint>

namespace longhaul {

template <class Tag, class Rep>
struct Quantity {
  Rep value{};

  constexpr Quantity() = default;
  constexpr explicit Quantity(Rep v) : value(v) {}
  constexpr auto operator<=>(const Quantity&) const = default;
  constexpr Quantity& operator+=(Quantity other) { return value += other.value, *this; }
  constexpr Quantity& operator-=(Quantity other) { return value -= other.value, *this; }
  friend constexpr Quantity operator+(Quantity a, Quantity b) { return Quantity(a.value + b.value); }
  friend constexpr Quantity operator-(Quantity a, Quantity b) { return Quantity(a.value - b.value); }
  friend constexpr Quantity operator*(Quantity a, Rep count) { return Quantity(a.value * count); }
  friend constexpr Quantity operator*(Rep count, Quantity a) { return Quantity(a.value * count); }
  /// The plain ratio of two like quantities.
  friend constexpr double operator/(Quantity a, Quantity b) { return static_cast<double>(a.value) / static_cast<double>(b.value); }
};

using Bytes = Quantity<struct BytesTag, std::int64_t>;
using Tokens = Quantity<struct TokensTag, std::int64_t>;
using Params = Quantity<struct ParamsTag, std::int64_t>;
/// Floating-point operations; a multiply-add counts two. A double: whole runs reach 1e25.
using Flops = Quantity<struct FlopsTag, double>;
using Seconds = Quantity<struct SecondsTag, double>;

/// Bytes of one GiB, as the double that amounts are divided by for printing.
inline constexpr double kGiB = 1073741824.0;

/// FLOP per second.
constexpr double flops_rate(Flops work, Seconds time) { return work.value / time.value; }
/// Tokens per second.
constexpr double token_rate(Tokens tokens, Seconds time) { return static_cast<double>(tokens.value) / time.value; }

}  // namespace longhaul
