// kernels/vectors/lanes.h — walks over rows in vectors of 16 lanes with a short last one, and the contract's sum of a row. For x_family.cpp
// only.
//
// A walk calls f(i, lanes) with lanes = Sixteen for whole vectors and an int (1 … 15) for the rest; load_some and store_some take either,
// so that one body serves both and the whole vectors meet no masks.
#pragma once

#include "kernels/vectors/simd.h"

namespace longhaul::kernels::LONGHAUL_FAMILY {
namespace {

struct Sixteen {};

template <typename T>
LONGHAUL_INLINE F32x16 load_some(const T* p, Sixteen) {
  return F32x16::load(p);
}
template <typename T>
LONGHAUL_INLINE F32x16 load_some(const T* p, int n) {
  return F32x16::load_partial(p, n);
}
template <typename T>
LONGHAUL_INLINE void store_some(F32x16 x, T* p, Sixteen) {
  x.store(p);
}
template <typename T>
LONGHAUL_INLINE void store_some(F32x16 x, T* p, int n) {
  x.store_partial(p, n);
}
/// Lanes that are not there become +0.
LONGHAUL_INLINE F32x16 only(F32x16 x, Sixteen) { return x; }
LONGHAUL_INLINE F32x16 only(F32x16 x, int n) { return select(Mask16::first(n), x, F32x16::zero()); }

template <typename F>
LONGHAUL_INLINE void for_vectors(std::int64_t begin, std::int64_t end, const F& f) {
  std::int64_t i = begin;
  for (; i + 16 <= end; i += 16) f(i, Sixteen{});
  if (i < end) f(i, static_cast<int>(end - i));
}

/// Sum of a row of n: sum = term(sum, i, lanes) adds elements i … to their lanes (+0 for missing ones), then the tree.
template <typename F>
LONGHAUL_INLINE float row_sum(std::int64_t n, const F& term) {
  F32x16 sum = F32x16::zero();
  for_vectors(0, n, [&](std::int64_t i, auto lanes) { sum = term(sum, i, lanes); });
  return reduce_tree(sum);
}

/// For columns [begin, end): accumulator[j] = step(accumulator[j], t, j, lanes) for t = 0 … tokens-1, rising: one chain a column.
/// Blocks of 8 tokens: their pieces of rows stay in the first-level cache while the accumulators pass by.
template <typename F>
LONGHAUL_INLINE void column_chains(std::int64_t tokens, std::int64_t begin, std::int64_t end, float* accumulator, const F& step) {
  constexpr std::int64_t kBlock = 8;
  for (std::int64_t block = 0; block < tokens; block += kBlock) {
    const std::int64_t last = block + kBlock < tokens ? block + kBlock : tokens;
    for_vectors(begin, end, [&](std::int64_t j, auto lanes) {
      F32x16 sum = load_some(accumulator + j, lanes);
      for (std::int64_t t = block; t < last; ++t) sum = step(sum, t, j, lanes);
      store_some(sum, accumulator + j, lanes);
    });
  }
}

LONGHAUL_INLINE float square_root(float x) { return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x))); }

}  // namespace
}  // namespace longhaul::kernels::LONGHAUL_FAMILY
