// units/nearest.h — the name that was probably meant, for error messages.
#pragma once

#include <cstddef>
#include <string_view>

namespace longhaul {

/// Letters to insert, remove, change or swap with a neighbour to get from a to b (optimal string alignment).
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The name of a non-empty list that is nearest to the one written; the first of equals.
template <class Names>
std::string_view nearest(std::string_view written, const Names& names) {
  std::string_view best = *std::begin(names);
  for (const std::string_view name : names)
    if (edit_distance(written, name) < edit_distance(written, best)) best = name;
  return best;
}

}  // namespace longhaul
