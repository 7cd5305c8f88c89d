#include "kernels/random.h"

#include <algorithm>
#include <cmath>

#include "kernels/elementary/elementary64.h"

namespace longhaul::kernels {
namespace {

// Multipliers and key increments of Philox4x32 (Salmon et al. 2011, table 2; the increments are the golden ratio and √3 - 1).
constexpr std::uint64_t kMultiplier0 = 0xD2511F53, kMultiplier1 = 0xCD9E8D57;
constexpr std::uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;
constexpr int kRounds = 10;

constexpr double kTwoPi = 0x1.921fb54442d18p+2;
constexpr double kUnit53 = 0x1p-53;

std::uint64_t bits53(std::uint32_t low, std::uint32_t high) { return (static_cast<std::uint64_t>(high) << 32 | low) >> 11; }

struct NormalPair {
  double first, second;
};

NormalPair normal_pair(std::uint64_t seed, std::uint64_t block_index) {
  const std::array<std::uint32_t, 4> block = philox(seed, Purpose::initialisation, block_index);
  const double u = static_cast<double>(bits53(block[0], block[1]) + 1) * kUnit53;  // in (0, 1]: the logarithm is finite
  const double v = static_cast<double>(bits53(block[2], block[3])) * kUnit53;
  const double radius = std::sqrt(-2.0 * log64(u));
  const SineCosine angle = sincos64(kTwoPi * v);
  return {radius * angle.cosine, radius * angle.sine};
}

void fill_range(std::uint64_t seed, std::uint64_t first, double standard_deviation, float* out, std::int64_t count) {
  std::int64_t i = 0;
  if ((first & 1) != 0 && count > 0) out[i++] = static_cast<float>(standard_deviation * normal_pair(seed, first / 2).second);
  for (; i < count; i += 2) {
    const NormalPair pair = normal_pair(seed, (first + static_cast<std::uint64_t>(i)) / 2);
    out[i] = static_cast<float>(standard_deviation * pair.first);
    if (i + 1 < count) out[i + 1] = static_cast<float>(standard_deviation * pair.second);
  }
}

}  // namespace

std::array<std::uint32_t, 4> philox4x32_10(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < kRounds; ++round) {
    const std::uint64_t product0 = kMultiplier0 * counter[0], product1 = kMultiplier1 * counter[2];
    counter = {static_cast<std::uint32_t>(product1 >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(product1),
               static_cast<std::uint32_t>(product0 >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(product0)};
    key[0] += kWeyl0;
    key[1] += kWeyl1;
  }
  return counter;
}

std::array<std::uint32_t, 4> philox(std::uint64_t seed, Purpose purpose, std::uint64_t index, std::uint32_t stream) {
  return philox4x32_10(
      {static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32), stream, static_cast<std::uint32_t>(purpose)},
      {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
}

double uniform(std::uint64_t seed, Purpose purpose, std::uint64_t index, std::uint32_t stream) {
  const std::array<std::uint32_t, 4> block = philox(seed, purpose, index, stream);
  return static_cast<double>(bits53(block[0], block[1])) * kUnit53;
}

void fill_normal(const Context& context, std::uint64_t seed, std::uint64_t first, double standard_deviation, float* out,
                 std::int64_t count) {
  constexpr std::int64_t kChunk = 16384;  // 64 KB of output: about a millisecond
  context.pool.run((count + kChunk - 1) / kChunk, [&](std::int64_t chunk, int) {
    const std::int64_t begin = chunk * kChunk;
    fill_range(seed, first + static_cast<std::uint64_t>(begin), standard_deviation, out + begin, std::min(kChunk, count - begin));
  });
}

}  // namespace longhaul::kernels
