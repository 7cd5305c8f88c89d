// kernels/statements/test_support.h — what kernel tests share: operands of either type, random numbers, workspaces with a guard behind,
// comparisons.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "kernels/context.h"
#include "kernels/statements/scalar_statement.h"

namespace longhaul::kernels::test {

inline std::vector<Family> families() {
  std::vector<Family> out;
  for (const Family family : {Family::avx2, Family::avx512, Family::avx512_bf16}) {
    if (supported(family)) out.push_back(family);
  }
  return out;
}

/// Uniform in ±amplitude (splitmix64 of seed and index).
inline std::vector<float> random_floats(std::int64_t count, std::uint64_t seed, float amplitude = 1.0f) {
  std::vector<float> out(static_cast<std::size_t>(count));
  std::uint64_t state = seed * 0x9e3779b97f4a7c15u;
  for (float& x : out) {
    std::uint64_t z = (state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    x = amplitude * (static_cast<float>((z ^ (z >> 31)) >> 40) * 0x1p-23f - 1.0f);
  }
  return out;
}

/// A tensor in the order's operand type.
class Operands {
 public:
  Operands(Order order, std::int64_t count) : order_(order), bytes_(static_cast<std::size_t>(count * size_of(operand_type(order))), 0xff) {}
  Operands(Order order, const std::vector<float>& values) : Operands(order, static_cast<std::int64_t>(values.size())) {
    for (std::size_t i = 0; i < values.size(); ++i) store_operand(order, data(), static_cast<std::int64_t>(i), values[i]);
  }
  void* data() { return bytes_.data(); }
  const void* data() const { return bytes_.data(); }
  std::vector<float> floats() const {
    std::vector<float> out(bytes_.size() / static_cast<std::size_t>(size_of(operand_type(order_))));
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = load_operand(order_, data(), static_cast<std::int64_t>(i));
    return out;
  }
  bool same_bits(const Operands& other) const { return bytes_ == other.bytes_; }

 private:
  Order order_;
  std::vector<std::uint8_t> bytes_;
};

inline bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

/// 64-byte aligned memory filled with NaNs, and a line behind it that must stay as it is.
class Workspace {
 public:
  explicit Workspace(std::size_t bytes)
      : bytes_(bytes), memory_(static_cast<std::uint8_t*>(std::aligned_alloc(64, (bytes + 2 * kGuard - 1) / kGuard * kGuard + kGuard))) {
    std::memset(memory_.get(), 0xff, bytes_ + kGuard);
  }
  void* data() { return memory_.get(); }
  bool intact() const {
    return std::all_of(memory_.get() + bytes_, memory_.get() + bytes_ + kGuard, [](std::uint8_t byte) { return byte == 0xff; });
  }

 private:
  static constexpr std::size_t kGuard = 64;
  struct Free {
    void operator()(std::uint8_t* p) const { std::free(p); }
  };
  std::size_t bytes_;
  std::unique_ptr<std::uint8_t, Free> memory_;
};

/// ‖x − reference‖₂ / ‖reference‖₂.
inline double relative_error(const std::vector<float>& x, const std::vector<double>& reference) {
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    difference += (x[i] - reference[i]) * (x[i] - reference[i]);
    norm += reference[i] * reference[i];
  }
  return norm > 0 ? std::sqrt(difference / norm) : std::sqrt(difference);
}

}  // namespace longhaul::kernels::test
