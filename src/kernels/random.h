// kernels/random.h — counter-based random numbers (Philox4x32-10, Salmon et al. 2011), keyed by (seed, purpose, global index).
//
// A number depends on its index alone: any rank, thread or order of evaluation draws the same one.
#pragma once

#include <array>
#include <cstdint>

#include "kernels/context.h"

namespace longhaul::kernels {

/// What a stream of numbers is for; part of the key, so that streams never meet.
enum class Purpose : std::uint32_t { initialisation = 1, data_order = 2, dropout = 3, generation = 4, synthetic_data = 5 };

/// Philox4x32-10 itself: the block of `counter` under `key` (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC11).
std::array<std::uint32_t, 4> philox4x32_10(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key);
/// The block of counter (index_low, index_high, stream, purpose) under the key (seed_low, seed_high).
std::array<std::uint32_t, 4> philox(std::uint64_t seed, Purpose purpose, std::uint64_t index, std::uint32_t stream = 0);
/// Uniform in [0, 1), 53 bits.
double uniform(std::uint64_t seed, Purpose purpose, std::uint64_t index, std::uint32_t stream = 0);
/// out[i] = standard_deviation · normal(first + i), purpose initialisation: Box–Muller in double with the project's own log, sin, cos,
/// rounded once to fp32. Block j gives the elements 2j (cosine) and 2j + 1 (sine).
void fill_normal(const Context& context, std::uint64_t seed, std::uint64_t first, double standard_deviation, float* out,
                 std::int64_t count);

}  // namespace longhaul::kernels
