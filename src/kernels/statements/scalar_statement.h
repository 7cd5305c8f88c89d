// kernels/statements/scalar_statement.h — the words the contract's scalar statements are written in: chain, lanes, tree, rounding to the
// operand type.
//
// For the references of attention and loss (and their tests), one element at a time: to be read, not to be fast.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "kernels/bf16.h"
#include "kernels/context.h"

namespace longhaul::kernels {

/// Element i of an operand tensor, exactly.
inline float load_operand(Order order, const void* data, std::int64_t i) {
  if (order == Order::fma) return static_cast<const float*>(data)[i];
  return to_float(static_cast<const bf16*>(data)[i]);
}
inline void store_operand(Order order, void* data, std::int64_t i, float x) {
  if (order == Order::fma)
    static_cast<float*>(data)[i] = x;
  else
    static_cast<bf16*>(data)[i] = to_bf16(x);
}
/// x rounded once to the operand type.
inline float rounded(Order order, float x) { return order == Order::fma ? x : to_float(to_bf16(x)); }

/// One chain over n products a(i)·b(i), started at c: i rising (fma), or by pairs, odd element first, padded with zeros (dp2).
template <typename A, typename B>
float chain(Order order, float c, std::int64_t n, A a, B b) {
  if (order == Order::fma) {
    for (std::int64_t i = 0; i < n; ++i) c = std::fma(a(i), b(i), c);
    return c;
  }
  for (std::int64_t i = 0; i < n; i += 2) {
    c = i + 1 < n ? std::fma(a(i + 1), b(i + 1), c) : std::fma(0.0f, 0.0f, c);
    c = std::fma(a(i), b(i), c);
  }
  return c;
}

/// The fixed tree over the 16 lanes: split in halves, left part first.
inline float tree_of_lanes(const float* lanes, int count = 16) {
  return count == 1 ? lanes[0] : tree_of_lanes(lanes, count / 2) + tree_of_lanes(lanes + count / 2, count / 2);
}
/// Σ x(i): element i in lane i mod 16, rising, then the tree.
template <typename X>
float sum_of_lanes(std::int64_t n, X x) {
  float lanes[16] = {};
  for (std::int64_t i = 0; i < n; ++i) lanes[i % 16] += x(i);
  return tree_of_lanes(lanes);
}
/// Σ a(i)·b(i), fused multiply-adds in lanes, then the tree.
template <typename A, typename B>
float dot_of_lanes(std::int64_t n, A a, B b) {
  float lanes[16] = {};
  for (std::int64_t i = 0; i < n; ++i) lanes[i % 16] = std::fma(a(i), b(i), lanes[i % 16]);
  return tree_of_lanes(lanes);
}

}  // namespace longhaul::kernels
