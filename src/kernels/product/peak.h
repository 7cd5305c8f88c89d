// kernels/product/peak.h — what this machine can do at best: the roofs that plans and reports measure against.
//
// The matmul peak runs the instructions of the GEMM's inner loop on registers alone, so "percent of peak" says how much of what the order
// costs by itself the GEMM reaches. Bandwidths are those of McCalpin's STREAM (read, copy, triad), counting the bytes a program asks for.
// Rates are work per second of the threads' own CPU time, added over threads: another program on the machine does not lower them much.
#pragma once

#include <cstddef>

#include "kernels/context.h"

namespace longhaul::kernels {

/// FLOP/s (a multiply-add is two) of the context's order and family on all threads of its pool, by the kernel that gemm() takes there.
/// Takes about `seconds`.
double matmul_peak(const Context& context, double seconds = 0.3);

/// Bytes per second.
struct MemoryBandwidth {
  double read;   ///< sum of one array
  double copy;   ///< a = b: two arrays
  double triad;  ///< a = b + s·c: three arrays
};
/// Streams through three arrays of `array_bytes` (several times the last-level cache, else the cache is measured). About `seconds` each,
/// plus the time to create the arrays.
MemoryBandwidth memory_bandwidth(const Context& context, std::size_t array_bytes, double seconds = 0.1);
/// The least array size for which three of them are twice the last-level cache: 32 to 256 MiB.
std::size_t bandwidth_array_bytes();

}  // namespace longhaul::kernels
