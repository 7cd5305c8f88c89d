// kernels/statements/reference.h — the layers of rows.h and AdamW as mathematics: double precision, plain loops, any order. For tests only.
//
// reference_test checks each backward pass here against finite differences of its forward pass; the tests of the kernels check the
// kernels against these. No rounding points, no lanes: where a kernel and its reference differ, the difference is the kernel's error.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/rows/rows.h"

namespace longhaul::kernels::reference {

using Vector = std::vector<double>;

template <typename T>
Vector widen(const std::vector<T>& x) {
  return Vector(x.begin(), x.end());
}

/// One row: x̂·weight + bias; bias may be empty.
inline Vector norm_forward(NormKind kind, double epsilon, const Vector& x, const Vector& weight, const Vector& bias) {
  const double n = static_cast<double>(x.size());
  double mean = 0, variance = 0;
  if (kind == NormKind::layer_norm) {
    for (const double a : x) mean += a / n;
  }
  for (const double a : x) variance += (a - mean) * (a - mean) / n;
  Vector out(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    out[i] = (x[i] - mean) / std::sqrt(variance + epsilon) * weight[i] + (bias.empty() ? 0 : bias[i]);
  }
  return out;
}

struct NormGradients {
  Vector x, weight, bias;
};
inline NormGradients norm_backward(NormKind kind, double epsilon, const Vector& d_out, const Vector& x, const Vector& weight) {
  const std::size_t size = x.size();
  const Vector normal = norm_forward(kind, epsilon, x, Vector(size, 1.0), {});
  const double n = static_cast<double>(size);
  double mean = 0, variance = 0, mean_g = 0, mean_gx = 0;
  for (const double a : x) mean += kind == NormKind::layer_norm ? a / n : 0;
  for (std::size_t i = 0; i < size; ++i) {
    variance += (x[i] - mean) * (x[i] - mean) / n;
    mean_g += kind == NormKind::layer_norm ? d_out[i] * weight[i] / n : 0;
    mean_gx += d_out[i] * weight[i] * normal[i] / n;
  }
  NormGradients out{Vector(size), Vector(size), d_out};
  for (std::size_t i = 0; i < size; ++i) {
    out.x[i] = (d_out[i] * weight[i] - mean_g - normal[i] * mean_gx) / std::sqrt(variance + epsilon);
    out.weight[i] = d_out[i] * normal[i];
  }
  return out;
}

inline double gelu(double y) { return 0.5 * y * (1 + std::tanh(std::sqrt(2 / M_PI) * (y + 0.044715 * y * y * y))); }
inline double gelu_slope(double y) {
  const double t = std::tanh(std::sqrt(2 / M_PI) * (y + 0.044715 * y * y * y));
  return 0.5 * (1 + t) + 0.5 * y * (1 - t * t) * std::sqrt(2 / M_PI) * (1 + 3 * 0.044715 * y * y);
}
inline double silu(double x) { return x / (1 + std::exp(-x)); }
inline double silu_slope(double x) {
  const double s = 1 / (1 + std::exp(-x));
  return s * (1 + x * (1 - s));
}

/// One head: RMS-norm (weight empty: none), then rotation by the angles of D/2 planes (empty: none), as rotate_half does it.
inline Vector head_forward(const Vector& x, const Vector& weight, double epsilon, const Vector& angles) {
  const Vector normal = weight.empty() ? x : norm_forward(NormKind::rms_norm, epsilon, x, weight, {});
  Vector out = normal;
  for (std::size_t i = 0, half = x.size() / 2; i < angles.size(); ++i) {
    out[i] = normal[i] * std::cos(angles[i]) - normal[i + half] * std::sin(angles[i]);
    out[i + half] = normal[i + half] * std::cos(angles[i]) + normal[i] * std::sin(angles[i]);
  }
  return out;
}
inline NormGradients head_backward(const Vector& d_out, const Vector& x, const Vector& weight, double epsilon, const Vector& angles) {
  Vector before = d_out;  // gradient before rotation: the transposed rotation
  for (std::size_t i = 0, half = x.size() / 2; i < angles.size(); ++i) {
    before[i] = d_out[i] * std::cos(angles[i]) + d_out[i + half] * std::sin(angles[i]);
    before[i + half] = d_out[i + half] * std::cos(angles[i]) - d_out[i] * std::sin(angles[i]);
  }
  if (weight.empty()) return {before, {}, {}};
  return norm_backward(NormKind::rms_norm, epsilon, before, x, weight);
}

/// Accounting A1, A2, A9: one update of one parameter, t counted from 1.
struct Parameter {
  double weight = 0, moment1 = 0, moment2 = 0;
};
struct AdamW {
  double beta1, beta2, learning_rate, epsilon, weight_decay;
  double clip_scale = 1;
};
inline Parameter adamw(const AdamW& a, Parameter p, double gradient, std::int64_t t) {
  const double g = gradient * a.clip_scale, steps = static_cast<double>(t);
  p.moment1 = a.beta1 * p.moment1 + (1 - a.beta1) * g;
  p.moment2 = a.beta2 * p.moment2 + (1 - a.beta2) * g * g;
  const double m = p.moment1 / (1 - std::pow(a.beta1, steps)), v = p.moment2 / (1 - std::pow(a.beta2, steps));
  p.weight = p.weight - a.learning_rate * m / (std::sqrt(v) + a.epsilon) - a.learning_rate * a.weight_decay * p.weight;
  return p;
}

}  // namespace longhaul::kernels::reference
