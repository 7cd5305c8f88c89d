// data/permutation.h — a bijection of {0 … n−1} keyed by (seed, epoch), computed point by point.
//
// A Feistel network over the smallest even number of bits that holds n, its round function one Philox block (purpose data_order), and
// cycle walking: a value that leaves the range is permuted again until it is back (Black & Rogaway 2002, §3). No memory, O(1) a point,
// fewer than four walks on average because the domain is below 4·n. Six rounds: four give a pseudo-random permutation against
// adaptive questions (Luby & Rackoff 1988), the cost of two more cannot be measured compared with reading a sample.
#pragma once

#include <cstdint>

namespace longhaul::data {

class KeyedPermutation {
 public:
  /// @param n  1 … 2⁶²
  KeyedPermutation(std::int64_t n, std::uint64_t seed, std::uint32_t epoch);
  std::int64_t operator()(std::int64_t index) const;
  std::int64_t size() const { return n_; }

 private:
  std::int64_t n_;
  std::uint64_t seed_;
  std::uint32_t epoch_;
  int half_bits_;
};

}  // namespace longhaul::data
