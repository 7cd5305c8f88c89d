#include "data/permutation.h"

#include <bit>
#include <cassert>

#include "kernels/random.h"

namespace longhaul::data {

namespace {

constexpr std::uint32_t kRounds = 6;

}  // namespace

KeyedPermutation::KeyedPermutation(std::int64_t n, std::uint64_t seed, std::uint32_t epoch) : n_(n), seed_(seed), epoch_(epoch) {
  assert(n >= 1 && n <= std::int64_t{1} << 62);
  const int bits = static_cast<int>(std::bit_width(static_cast<std::uint64_t>(n - 1)));
  half_bits_ = (bits + 1) / 2;
}

std::int64_t KeyedPermutation::operator()(std::int64_t index) const {
  assert(index >= 0 && index < n_);
  if (n_ == 1) return 0;
  const std::uint64_t mask = (std::uint64_t{1} << half_bits_) - 1;
  auto value = static_cast<std::uint64_t>(index);
  do {
    std::uint64_t left = value >> half_bits_, right = value & mask;
    for (std::uint32_t round = 0; round < kRounds; ++round) {
      // A half has at most 31 bits, so (epoch, half) is one counter.
      const auto block = kernels::philox(seed_, kernels::Purpose::data_order, std::uint64_t{epoch_} << 32 | right, round);
      const std::uint64_t mixed = left ^ (block[0] & mask);
      left = right;
      right = mixed;
    }
    value = left << half_bits_ | right;
  } while (value >= static_cast<std::uint64_t>(n_));
  return static_cast<std::int64_t>(value);
}

}  // namespace longhaul::data
