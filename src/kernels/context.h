// kernels/context.h — what every kernel is told: which threads, which instruction set, which named summation order.
//
// Threads and family never reach a bit (numerics contract, docs/numerics.md); the order does, and is part of the run file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "units/element_type.h"

namespace longhaul::kernels {

/// A bfloat16 as stored; arithmetic happens in fp32.
struct bf16 {
  std::uint16_t bits;
};

/// Named summation orders (design: Numerics contract). `fma` goes with f32 operands, `dp2` with bf16 operands.
enum class Order : std::uint8_t { fma, dp2 };
/// Type of a GEMM operand. Everything else is fp32 (or fp64 where the contract says so).
constexpr ElementType operand_type(Order order) { return order == Order::fma ? ElementType::f32 : ElementType::bf16; }
std::string_view name(Order order);

/// Instruction sets with kernels of their own; each gives the same bits.
enum class Family : std::uint8_t { avx2, avx512, avx512_bf16 };
std::string_view name(Family family);
/// The fastest family this processor runs.
Family best_family();
bool supported(Family family);

/// A fixed set of worker threads. Every thread, the caller's too, runs with FTZ, DAZ and round-to-nearest.
class ThreadPool {
 public:
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const;
  /// Calls task(index, thread) once for each index in [0, count), indices handed out dynamically; returns when all are done.
  /// thread is in [0, threads()). Tasks write disjoint results, so who runs what reaches no bit. A task must not throw.
  void run(std::int64_t count, const std::function<void(std::int64_t index, int thread)>& task);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Sets FTZ, DAZ and round-to-nearest on the calling thread (MXCSR). Called by ThreadPool for its threads and its creator's.
void set_floating_point_environment();

struct Context {
  ThreadPool& pool;
  Family family;
  Order order;
};

}  // namespace longhaul::kernels
