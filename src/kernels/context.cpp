#include "kernels/context.h"

#include <cpuid.h>
#include <immintrin.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace longhaul::kernels {
namespace {

struct CpuFeatures {
  bool avx2 = false, avx512 = false, avx512_bf16 = false;
};

__attribute__((target("xsave"))) std::uint64_t enabled_state() { return _xgetbv(0); }

// Read with cpuid rather than __builtin_cpu_supports, which in GCC 12 does not look at the 512-bit state for avx512bf16.
CpuFeatures detect() {
  CpuFeatures found;
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0) return found;
  const bool osxsave = c & bit_OSXSAVE, fma = c & bit_FMA, f16c = c & bit_F16C;
  if (!osxsave || !fma || !f16c) return found;
  const std::uint64_t state = enabled_state();
  if ((state & 0x6) != 0x6 || __get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return found;
  found.avx2 = (b & bit_AVX2) && (b & bit_BMI2);
  const unsigned v4 = bit_AVX512F | bit_AVX512DQ | bit_AVX512BW | bit_AVX512VL | bit_AVX512CD;
  found.avx512 = found.avx2 && (state & 0xe6) == 0xe6 && (b & v4) == v4;
  if (found.avx512 && __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0) found.avx512_bf16 = a & bit_AVX512BF16;
  return found;
}

const CpuFeatures& features() {
  static const CpuFeatures found = detect();
  return found;
}

}  // namespace

std::string_view name(Order order) { return order == Order::fma ? "fma" : "dp2"; }

std::string_view name(Family family) {
  switch (family) {
    case Family::avx512_bf16:
      return "avx512_bf16";
    case Family::avx512:
      return "avx512";
    case Family::avx2:
      break;
  }
  return "avx2";
}

bool supported(Family family) {
  switch (family) {
    case Family::avx512_bf16:
      return features().avx512_bf16;
    case Family::avx512:
      return features().avx512;
    case Family::avx2:
      break;
  }
  return features().avx2;
}

Family best_family() {
  if (supported(Family::avx512_bf16)) return Family::avx512_bf16;
  return supported(Family::avx512) ? Family::avx512 : Family::avx2;
}

void set_floating_point_environment() {
  // Power-on state (all exceptions masked, round to nearest) plus FTZ (bit 15) and DAZ (bit 6).
  constexpr unsigned kMxcsr = 0x1f80u | 0x8000u | 0x0040u;
  if ((_mm_getcsr() & 0xffc0u) != kMxcsr) _mm_setcsr(kMxcsr);
}

// One ticket word, (generation << 32 | indices left), is all that workers race on: an index is claimed by a compare-and-swap of the whole
// word, so a worker that wakes late for an old generation claims nothing. `task` and `count` are read only after a claim; the caller
// does not return, hence does not change them, before every claimed index is finished.
struct ThreadPool::State {
  std::atomic<std::uint64_t> ticket{0};
  std::atomic<std::int64_t> unfinished{0};
  std::atomic<bool> stopping{false};
  const std::function<void(std::int64_t, int)>* task = nullptr;
  std::int64_t count = 0;
  std::vector<std::thread> workers;

  void work(int thread) noexcept {
    std::uint64_t seen = ticket.load(std::memory_order_acquire);
    while ((seen & 0xffffffffu) != 0) {
      if (!ticket.compare_exchange_weak(seen, seen - 1, std::memory_order_acq_rel, std::memory_order_acquire)) continue;
      (*task)(count - static_cast<std::int64_t>(seen & 0xffffffffu), thread);
      if (unfinished.fetch_sub(1, std::memory_order_acq_rel) == 1) unfinished.notify_all();
      seen = ticket.load(std::memory_order_acquire);
    }
  }

  void serve(int thread) noexcept {
    set_floating_point_environment();
    while (!stopping.load(std::memory_order_acquire)) {
      work(thread);
      const std::uint64_t seen = ticket.load(std::memory_order_acquire);
      if ((seen & 0xffffffffu) == 0 && !stopping.load(std::memory_order_acquire)) sleep_until_changed(ticket, seen);
    }
  }

  // Kernels follow each other within microseconds: look for about 10 µs before sleeping in the kernel.
  template <typename T>
  static void sleep_until_changed(std::atomic<T>& word, T old) {
    for (int spin = 0; spin < 200; ++spin) {
      if (word.load(std::memory_order_acquire) != old) return;
      _mm_pause();
    }
    word.wait(old, std::memory_order_acquire);
  }
};

ThreadPool::ThreadPool(int threads) : state_(std::make_unique<State>()) {
  set_floating_point_environment();
  for (int thread = 1; thread < threads; ++thread) {
    state_->workers.emplace_back([state = state_.get(), thread] { state->serve(thread); });
  }
}

ThreadPool::~ThreadPool() {
  state_->stopping.store(true, std::memory_order_release);
  state_->ticket.fetch_add(std::uint64_t{1} << 32, std::memory_order_acq_rel);  // a change, so that sleepers look up
  state_->ticket.notify_all();
  for (std::thread& worker : state_->workers) worker.join();
}

int ThreadPool::threads() const { return static_cast<int>(state_->workers.size()) + 1; }

void ThreadPool::run(std::int64_t count, const std::function<void(std::int64_t index, int thread)>& task) {
  set_floating_point_environment();
  if (state_->workers.empty() || count <= 1) {
    for (std::int64_t index = 0; index < count; ++index) task(index, 0);
    return;
  }
  State& state = *state_;
  state.task = &task;
  state.count = count;
  state.unfinished.store(count, std::memory_order_relaxed);
  const std::uint64_t generation = (state.ticket.load(std::memory_order_relaxed) >> 32) + 1;
  state.ticket.store(generation << 32 | static_cast<std::uint64_t>(count), std::memory_order_release);
  state.ticket.notify_all();
  state.work(0);
  for (std::int64_t left = state.unfinished.load(std::memory_order_acquire); left != 0;
       left = state.unfinished.load(std::memory_order_acquire)) {
    State::sleep_until_changed(state.unfinished, left);
  }
}

}  // namespace longhaul::kernels
