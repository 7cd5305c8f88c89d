// cluster/kernel_rates.h — how long a kernel takes on a machine: measured points by shape, and what lies between them.
//
// A call is a kernel and the shape it is called with: the unit in which machines are measured (machine/measure_kernels.h) and
// programs are priced (cost/kernel_calls.h). A measured shape takes the time measured. Between and beyond the points each kernel has a
// trend, its time as a sum of terms that name what it does: for a product of M×K and K×N
//
//     t = a·MNK + b·MK + c·NK + d·MN + e        multiply-adds, packing of both operands, the result's way through memory, the call
//
// so that the rate saturates in M, N and K alike. Its coefficients are the non-negative ones with the least squared relative error
// (Lawson and Hanson, Solving Least Squares Problems, ch. 23) on the points. What the trend leaves at the points, caches above all, is
// interpolated in the logarithms of shape and time with weights 1/distance⁴ (Shepard, ACM 1968).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "units/units.h"

namespace longhaul::cluster {

/// What src/kernels offers to a step, as far as it takes time of its own. Products by how their operands lie in memory (BLAS's n and t):
/// nn reads B as stored, nt transposed; tn reads A transposed and adds to its result (a weight gradient: K = tokens).
enum class Kernel : std::uint8_t {
  gemm_nn,
  gemm_nt,
  gemm_tn,
  attention_forward,
  attention_backward,
  loss,  ///< one block of tokens: logits, softmax, both gradients
  rms_norm_forward,
  rms_norm_backward,
  layer_norm_forward,
  layer_norm_backward,
  heads_forward,  ///< split of the projection into q, k, v: bias at most
  heads_backward,
  rotary_heads_forward,  ///< and rotation of q and k
  rotary_heads_backward,
  gelu_forward,
  gelu_backward,
  swiglu_forward,
  swiglu_backward,
  residual,  ///< bias and residual added
  bias_backward,
  round_to_operand,
  embed_forward,
  embed_backward,
  zero,
  add,
  sum_of_squares,
  adamw,
  adamw_average,  ///< with the EMA of the weights
};
inline constexpr int kKernels = 28;
inline constexpr int kAxes = 5;

struct KernelInfo {
  Kernel kernel;
  std::string_view name;  ///< in profiles
  /// What the numbers of a shape are, in order.
  std::vector<std::string_view> axes;
  /// The axis that grows with the micro-batch.
  int batch_axis;
};
const KernelInfo& info(Kernel kernel);
std::optional<Kernel> kernel_named(std::string_view name);

struct KernelCall {
  Kernel kernel{};
  std::array<std::int64_t, kAxes> shape{1, 1, 1, 1, 1};  ///< by info().axes; 1 beyond them
  auto operator<=>(const KernelCall&) const = default;
};
/// Elements or multiply-adds: the leading term of the trend.
double work(const KernelCall& call);
/// The call made smaller until its work is at most `most`: its batch axis first, down to what still fills the kernel (256 tokens, one
/// sequence), then the longest of its axes.
KernelCall at_most(KernelCall call, double most);

struct KernelPoint {
  KernelCall call;
  Seconds time;
};

class KernelRates {
 public:
  void add(const KernelPoint& point) { points_.push_back(point); }
  const std::vector<KernelPoint>& points() const { return points_; }
  bool measured(const KernelCall& call) const;
  /// Nothing where no call of this kernel was measured.
  std::optional<Seconds> time(const KernelCall& call) const;

 private:
  std::vector<KernelPoint> points_;
};

}  // namespace longhaul::cluster
