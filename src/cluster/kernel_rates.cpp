#include "cluster/kernel_rates.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace longhaul::cluster {
namespace {

constexpr int kTerms = 5;
/// Terms of a trend, the leading one first; unused ones are 0.
using Terms = std::array<double, kTerms>;

const std::vector<KernelInfo>& all() {
  static const std::vector<KernelInfo> table = {
      {Kernel::gemm_nn, "gemm_nn", {"m", "n", "k"}, 0},
      {Kernel::gemm_nt, "gemm_nt", {"m", "n", "k"}, 0},
      {Kernel::gemm_tn, "gemm_tn", {"m", "n", "k"}, 2},
      {Kernel::attention_forward, "attention_forward", {"sequences", "length", "heads", "kv_heads", "head_dim"}, 0},
      {Kernel::attention_backward, "attention_backward", {"sequences", "length", "heads", "kv_heads", "head_dim"}, 0},
      {Kernel::loss, "loss", {"tokens", "width", "vocab"}, 0},
      {Kernel::rms_norm_forward, "rms_norm_forward", {"tokens", "width"}, 0},
      {Kernel::rms_norm_backward, "rms_norm_backward", {"tokens", "width"}, 0},
      {Kernel::layer_norm_forward, "layer_norm_forward", {"tokens", "width"}, 0},
      {Kernel::layer_norm_backward, "layer_norm_backward", {"tokens", "width"}, 0},
      {Kernel::heads_forward, "heads_forward", {"tokens", "heads", "kv_heads", "head_dim"}, 0},
      {Kernel::heads_backward, "heads_backward", {"tokens", "heads", "kv_heads", "head_dim"}, 0},
      {Kernel::rotary_heads_forward, "rotary_heads_forward", {"tokens", "heads", "kv_heads", "head_dim"}, 0},
      {Kernel::rotary_heads_backward, "rotary_heads_backward", {"tokens", "heads", "kv_heads", "head_dim"}, 0},
      {Kernel::gelu_forward, "gelu_forward", {"tokens", "width"}, 0},
      {Kernel::gelu_backward, "gelu_backward", {"tokens", "width"}, 0},
      {Kernel::swiglu_forward, "swiglu_forward", {"tokens", "width"}, 0},
      {Kernel::swiglu_backward, "swiglu_backward", {"tokens", "width"}, 0},
      {Kernel::residual, "residual", {"tokens", "width"}, 0},
      {Kernel::bias_backward, "bias_backward", {"tokens", "width"}, 0},
      {Kernel::round_to_operand, "round_to_operand", {"tokens", "width"}, 0},
      {Kernel::embed_forward, "embed_forward", {"tokens", "width"}, 0},
      {Kernel::embed_backward, "embed_backward", {"tokens", "width"}, 0},
      {Kernel::zero, "zero", {"elements"}, 0},
      {Kernel::add, "add", {"elements"}, 0},
      {Kernel::sum_of_squares, "sum_of_squares", {"elements"}, 0},
      {Kernel::adamw, "adamw", {"elements"}, 0},
      {Kernel::adamw_average, "adamw_average", {"elements"}, 0},
  };
  return table;
}

Terms terms(const KernelCall& call) {
  std::array<double, kAxes> s{};
  std::copy(call.shape.begin(), call.shape.end(), s.begin());
  switch (call.kernel) {
    case Kernel::gemm_nn:
    case Kernel::gemm_nt:
    case Kernel::gemm_tn:
      return {s[0] * s[1] * s[2], s[0] * s[2], s[1] * s[2], s[0] * s[1], 1};
    case Kernel::attention_forward:
    case Kernel::attention_backward: {  // products; softmax; loading of rows; the call
      const double rows = s[0] * s[1] * s[2];
      return {rows * s[1] * s[4], rows * s[1], rows * s[4], 1, 0};
    }
    case Kernel::loss:  // products; packing of the head and the way of its gradient; softmax; rows; the call
      return {s[0] * s[1] * s[2], s[1] * s[2], s[0] * s[2], s[0] * s[1], 1};
    case Kernel::heads_forward:
    case Kernel::heads_backward:
    case Kernel::rotary_heads_forward:
    case Kernel::rotary_heads_backward:
      return {s[0] * (s[1] + 2 * s[2]) * s[3], 0, 0, 0, 0};
    default:
      return {s[0] * s[1], 0, 0, 0, 0};
  }
}

/// Solves the symmetric positive system of the chosen terms by elimination; nothing where it is singular or a solution is negative.
std::optional<Terms> solve(const std::array<Terms, kTerms>& matrix, const Terms& right, unsigned chosen) {
  std::array<int, kTerms> index{};
  int n = 0;
  for (int j = 0; j < kTerms; ++j)
    if (chosen >> j & 1U) index[n++] = j;
  std::array<std::array<double, kTerms + 1>, kTerms> a{};
  for (int i = 0; i < n; ++i) {
    for (int j = 0; j < n; ++j) a[i][j] = matrix[index[i]][index[j]];
    a[i][n] = right[index[i]];
  }
  for (int i = 0; i < n; ++i) {
    if (a[i][i] < 1e-12 * matrix[index[i]][index[i]] || a[i][i] <= 0) return std::nullopt;
    for (int k = i + 1; k < n; ++k)
      for (int j = n; j >= i; --j) a[k][j] -= a[i][j] * (a[k][i] / a[i][i]);
  }
  Terms out{};
  for (int i = n - 1; i >= 0; --i) {
    double value = a[i][n];
    for (int j = i + 1; j < n; ++j) value -= a[i][j] * out[index[j]];
    out[index[i]] = value / a[i][i];
    if (out[index[i]] < 0) return std::nullopt;
  }
  return out;
}

double dot(const Terms& a, const Terms& b) {
  double sum = 0;
  for (int j = 0; j < kTerms; ++j) sum += a[j] * b[j];
  return sum;
}

/// The coefficients ≥ 0 of least Σ (c·x − 1)², x = terms ÷ time of a point. With five terms every set of non-zero ones can be tried.
Terms fit(const std::vector<KernelPoint>& points, unsigned allowed) {
  std::array<Terms, kTerms> matrix{};
  Terms right{};
  for (const KernelPoint& point : points) {
    Terms x = terms(point.call);
    for (double& term : x) term /= point.time.value;
    for (int i = 0; i < kTerms; ++i) {
      right[i] += x[i];
      for (int j = 0; j < kTerms; ++j) matrix[i][j] += x[i] * x[j];
    }
  }
  Terms best{};
  double least = 0;  // of the squared error less the number of points: −c·right where c solves its system
  for (unsigned chosen = 1; chosen < 1U << kTerms; ++chosen) {
    if ((chosen & ~allowed) != 0) continue;
    const std::optional<Terms> solution = solve(matrix, right, chosen);
    if (solution && -dot(*solution, right) < least) {
      least = -dot(*solution, right);
      best = *solution;
    }
  }
  return best;
}

double squared_distance(const KernelCall& a, const KernelCall& b) {
  double sum = 0;
  for (int i = 0; i < kAxes; ++i) {
    const double difference = std::log(static_cast<double>(a.shape[i]) / static_cast<double>(b.shape[i]));
    sum += difference * difference;
  }
  return sum;
}

}  // namespace

const KernelInfo& info(Kernel kernel) {
  const KernelInfo& found = all()[static_cast<std::size_t>(kernel)];
  assert(found.kernel == kernel);
  return found;
}

std::optional<Kernel> kernel_named(std::string_view name) {
  for (const KernelInfo& kernel : all())
    if (kernel.name == name) return kernel.kernel;
  return std::nullopt;
}

double work(const KernelCall& call) { return terms(call)[0]; }

KernelCall at_most(KernelCall call, double most) {
  const bool sequences = call.kernel == Kernel::attention_forward || call.kernel == Kernel::attention_backward;
  std::int64_t& batch = call.shape[static_cast<std::size_t>(info(call.kernel).batch_axis)];
  while (work(call) > most) {
    std::int64_t& axis = batch > (sequences ? 1 : 256) ? batch : *std::max_element(call.shape.begin(), call.shape.end());
    if (axis == 1) break;
    axis = (axis + 1) / 2;
  }
  return call;
}

bool KernelRates::measured(const KernelCall& call) const {
  return std::any_of(points_.begin(), points_.end(), [&](const KernelPoint& point) { return point.call == call; });
}

std::optional<Seconds> KernelRates::time(const KernelCall& call) const {
  std::vector<KernelPoint> points;
  for (const KernelPoint& point : points_) {
    if (point.call == call) return point.time;
    if (point.call.kernel == call.kernel) points.push_back(point);
  }
  if (points.empty()) return std::nullopt;
  // A trend with as many terms as points would only repeat them: below two a term, the leading one alone.
  const bool enough = std::ssize(points) >= 2 * kTerms;
  const Terms trend = fit(points, enough ? (1U << kTerms) - 1 : 1U);
  double weights = 0, residual = 0;
  for (const KernelPoint& point : points) {
    const double distance = squared_distance(point.call, call), weight = 1 / (distance * distance);
    weights += weight;
    residual += weight * std::log(point.time.value / dot(trend, terms(point.call)));
  }
  return Seconds(dot(trend, terms(call)) * std::exp(residual / weights));
}

}  // namespace longhaul::cluster
