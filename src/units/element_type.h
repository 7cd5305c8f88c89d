// units/element_type.h — the type of a tensor's elements: one enum for programs, kernels, checkpoints and run files.
//
// The list is that of safetensors, in the order of its writer (by rising alignment), which is also the order of the tensors in a file.
// A program and the kernels use f32, bf16 and f64, and u8 for memory without a type (workspaces, gathered buckets).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace longhaul {

enum class ElementType : std::uint8_t { boolean, u8, i8, f8_e5m2, f8_e4m3, i16, u16, f16, bf16, i32, u32, f32, f64, i64, u64 };
inline constexpr std::size_t kElementTypes = 15;

/// Bytes of one element.
constexpr std::int64_t size_of(ElementType type) {
  if (type < ElementType::i16) return 1;
  if (type < ElementType::i32) return 2;
  return type < ElementType::f64 ? 4 : 8;
}
/// As safetensors names it: "F32", "BF16", "F8_E4M3".
std::string_view name(ElementType type);
/// Nothing where no type has that name.
std::optional<ElementType> element_type(std::string_view name);

}  // namespace longhaul
