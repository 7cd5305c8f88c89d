#include "units/element_type.h"

#include <algorithm>
#include <array>

namespace longhaul {
namespace {

/// By ElementType.
constexpr std::array<std::string_view, kElementTypes> kNames = {"BOOL", "U8",  "I8",  "F8_E5M2", "F8_E4M3", "I16", "U16", "F16",
                                                                "BF16", "I32", "U32", "F32",     "F64",     "I64", "U64"};

}  // namespace

std::string_view name(ElementType type) { return kNames[static_cast<std::size_t>(type)]; }

std::optional<ElementType> element_type(std::string_view name) {
  const auto* const found = std::ranges::find(kNames, name);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<ElementType>(found - kNames.begin());
}

}  // namespace longhaul
