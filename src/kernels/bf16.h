// kernels/bf16.h — bfloat16 conversions for code that is compiled once (per-family code has its own in simd.h: see family.h for why).
#pragma once

#include <bit>
#include <cstdint>

#include "kernels/context.h"

namespace longhaul::kernels {

inline float to_float(bf16 x) { return std::bit_cast<float>(static_cast<std::uint32_t>(x.bits) << 16); }

/// To nearest even, in integers (the same bits whatever MXCSR says); a NaN keeps its upper bits and becomes quiet.
inline bf16 to_bf16(float x) {
  const std::uint32_t u = std::bit_cast<std::uint32_t>(x);
  if ((u & 0x7fffffffu) > 0x7f800000u) return {static_cast<std::uint16_t>((u >> 16) | 0x40u)};
  return {static_cast<std::uint16_t>((u + 0x7fffu + ((u >> 16) & 1u)) >> 16)};
}

}  // namespace longhaul::kernels
