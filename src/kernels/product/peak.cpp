#include "kernels/product/peak.h"

#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <new>
#include <vector>

#include "kernels/product/gemm_family.h"
#include "kernels/product/peak_family.h"

namespace longhaul::kernels {
namespace {

double thread_cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// Runs `work` (which returns the amount done) on every thread at once, again and again for `seconds` of each thread's CPU time, and adds
/// the threads' best rates: the best slice is the one least disturbed by clock changes and by others.
template <typename Work>
double best_rate(ThreadPool& pool, double seconds, const Work& work) {
  const int threads = pool.threads();
  std::vector<double> best(static_cast<std::size_t>(threads), 0.0);
  pool.run(threads, [&](std::int64_t part, int) {
    double spent = 0;
    for (int slice = 0; spent < seconds || slice < 2; ++slice) {
      const double begin = thread_cpu_seconds();
      const double amount = work(part);
      const double elapsed = std::max(thread_cpu_seconds() - begin, 1e-9);
      spent += elapsed;
      double& rate = best[static_cast<std::size_t>(part)];
      rate = std::max(rate, amount / elapsed);
    }
  });
  double sum = 0;
  for (double rate : best) sum += rate;
  return sum;
}

struct Unmap {
  std::size_t bytes = 0;
  void operator()(float* address) const { munmap(address, bytes); }
};
using Array = std::unique_ptr<float, Unmap>;

Array make_array(std::size_t bytes) {
  void* address = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (address == MAP_FAILED) throw std::bad_alloc();
  madvise(address, bytes, MADV_HUGEPAGE);
  return Array(static_cast<float*>(address), Unmap{bytes});
}

}  // namespace

double matmul_peak(const Context& context, double seconds) {
  // The kernel may be another family's (gemm_kernel): emulated dp2 is the fma loop at two steps a pair.
  const PeakTable& table = LONGHAUL_FAMILY_SELECT(context.family, peak_table);
  const bool native = context.order == Order::dp2 && gemm_kernel(context.family, context.order).steps_per_unit == 1;
  const auto chains = native ? table.dp2 : table.fma;
  // A slice of about a millisecond: 27 instructions a step.
  constexpr std::int64_t kSteps = 40'000;
  return best_rate(context.pool, seconds, [&](std::int64_t) {
    float keep = 0;
    return chains(kSteps, &keep) + static_cast<double>(keep);  // the chains multiply by zero: keep is 0
  });
}

std::size_t bandwidth_array_bytes() {
  constexpr std::size_t kLeast = std::size_t{32} << 20, kMost = std::size_t{256} << 20;
  const long cache = ::sysconf(_SC_LEVEL3_CACHE_SIZE);
  return std::clamp(static_cast<std::size_t>(std::max(cache, 0L)) / 3 * 2, kLeast, kMost);
}

MemoryBandwidth memory_bandwidth(const Context& context, std::size_t array_bytes, double seconds) {
  const PeakTable& table = LONGHAUL_FAMILY_SELECT(context.family, peak_table);
  const std::int64_t threads = context.pool.threads();
  // Each thread's part is walked in pieces of 4 MiB, its pages touched first by itself.
  constexpr std::int64_t kPiece = std::int64_t{1} << 20;
  const std::int64_t pieces = std::max<std::int64_t>(1, static_cast<std::int64_t>(array_bytes) / (kPiece * 4 * threads));
  const std::size_t bytes = static_cast<std::size_t>(pieces * kPiece * threads) * sizeof(float);
  const Array a = make_array(bytes), b = make_array(bytes), c = make_array(bytes);
  context.pool.run(threads, [&](std::int64_t part, int) {
    const std::int64_t begin = part * pieces * kPiece, count = pieces * kPiece;
    std::fill_n(a.get() + begin, count, 0.0f);
    std::fill_n(b.get() + begin, count, 1.0f);
    std::fill_n(c.get() + begin, count, 2.0f);
  });
  // A slice is the whole part, so that a piece has left the caches before it comes again.
  const auto walk = [&](double bytes_per_element, const auto& piece) {
    return best_rate(context.pool, seconds, [&](std::int64_t part) {
      for (std::int64_t i = 0; i < pieces; ++i) piece((part * pieces + i) * kPiece);
      return bytes_per_element * static_cast<double>(pieces * kPiece);
    });
  };
  MemoryBandwidth result{};
  std::vector<float> sums(static_cast<std::size_t>(threads * pieces));
  result.read = walk(4, [&](std::int64_t at) { sums[static_cast<std::size_t>(at / kPiece)] = table.read(b.get() + at, kPiece); });
  result.copy = walk(8, [&](std::int64_t at) { table.copy(a.get() + at, b.get() + at, kPiece); });
  result.triad = walk(12, [&](std::int64_t at) { table.triad(a.get() + at, b.get() + at, c.get() + at, 3.0f, kPiece); });
  return result;
}

}  // namespace longhaul::kernels
