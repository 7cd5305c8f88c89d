// kernels/statements/rows_statement.h — what the kernels of rows.h and optimizer.h compute, one element at a time, to the bit. For tests
// and docs/numerics.md.
//
// Results are fp32, before the one rounding to the operand type. Each function is the exact sequence of operations that the contract fixes.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "kernels/optimizer/optimizer.h"
#include "kernels/rows/rows.h"
#include "kernels/statements/elementary_scalar.h"
#include "kernels/statements/scalar_statement.h"

namespace longhaul::kernels::statement {

inline void norm_forward(const NormShape& s, const float* x, const float* weight, const float* bias, float* out, float* statistics) {
  for (std::int64_t t = 0; t < s.tokens; ++t, x += s.width, out += s.width) {
    const float width = static_cast<float>(s.width);
    const float mean = s.kind == NormKind::layer_norm ? sum_of_lanes(s.width, [&](std::int64_t i) { return x[i]; }) / width : 0.0f;
    const auto centred = [&](std::int64_t i) { return x[i] - mean; };
    const float inverse = 1.0f / std::sqrt(dot_of_lanes(s.width, centred, centred) / width + s.epsilon);
    for (std::int64_t i = 0; i < s.width; ++i) {
      const float normal = (x[i] - mean) * inverse;
      out[i] = bias ? std::fma(normal, weight[i], bias[i]) : normal * weight[i];
    }
    statistics[2 * t] = mean, statistics[2 * t + 1] = inverse;
  }
}

inline void norm_backward(const NormShape& s, const float* d_out, const float* x, const float* weight, const float* statistics,
                          const float* d_residual, float* d_x, float* d_weight, float* d_bias) {
  for (std::int64_t t = 0; t < s.tokens; ++t) {
    const float mean = statistics[2 * t], inverse = statistics[2 * t + 1], width = static_cast<float>(s.width);
    const std::int64_t row = t * s.width;
    const auto g = [&](std::int64_t i) { return d_out[row + i] * weight[i]; };
    const auto normal = [&](std::int64_t i) { return (x[row + i] - mean) * inverse; };
    const bool centred = s.kind == NormKind::layer_norm;
    const float mean_g = centred ? sum_of_lanes(s.width, g) / width : 0.0f;
    const float mean_gx = dot_of_lanes(s.width, g, normal) / width;
    for (std::int64_t i = 0; i < s.width; ++i) {
      const float inner = std::fma(-normal(i), mean_gx, centred ? g(i) - mean_g : g(i));
      d_weight[i] = std::fma(d_out[row + i], normal(i), d_weight[i]);
      if (d_bias) d_bias[i] += d_out[row + i];
      d_x[row + i] = d_residual ? std::fma(inverse, inner, d_residual[row + i]) : inverse * inner;
    }
  }
}

inline float gelu_gate(float y) { return scalar::sigmoid((0x1.988454p+0f * y) * std::fma(0.044715f, y * y, 1.0f)); }
inline float gelu(float y) { return y * gelu_gate(y); }
inline float gelu_backward(float d_out, float y) {
  const float s = gelu_gate(y), slope = 0x1.988454p+0f * std::fma(0.134145f, y * y, 1.0f);
  return d_out * std::fma(y * std::fma(-s, s, s), slope, s);
}
inline float swiglu(float gate, float up) { return (gate * scalar::sigmoid(gate)) * up; }
struct GateGradients {
  float gate, up;
};
inline GateGradients swiglu_backward(float d_out, float gate, float up) {
  const float s = scalar::sigmoid(gate), silu = gate * s;
  return {(d_out * up) * std::fma(silu, 1.0f - s, s), d_out * silu};
}

/// One head of D: qk-norm (weight null: none), then rotation (cosine null: none). Returns 1/rms.
inline float head_forward(const float* x, const float* weight, float epsilon, const float* cosine, const float* sine, float* out,
                          std::int64_t d) {
  const auto at = [&](std::int64_t i) { return x[i]; };
  const float inverse = weight ? 1.0f / std::sqrt(dot_of_lanes(d, at, at) / static_cast<float>(d) + epsilon) : 1.0f;
  const auto normal = [&](std::int64_t i) { return weight ? (x[i] * inverse) * weight[i] : x[i]; };
  for (std::int64_t i = 0; i < d; ++i) out[i] = normal(i);
  for (std::int64_t i = 0, j = d / 2; cosine && i < d / 2; ++i, ++j) {
    out[i] = std::fma(-normal(j), sine[i], normal(i) * cosine[i]);
    out[j] = std::fma(normal(i), sine[i], normal(j) * cosine[i]);
  }
  return inverse;
}
inline void head_backward(const float* x, float inverse, const float* weight, const float* cosine, const float* sine, const float* d_y,
                          float* d_x, float* d_weight, std::int64_t d) {
  for (std::int64_t i = 0; i < d; ++i) d_x[i] = d_y[i];
  for (std::int64_t i = 0, j = d / 2; cosine && i < d / 2; ++i, ++j) {
    d_x[i] = std::fma(d_y[j], sine[i], d_y[i] * cosine[i]);
    d_x[j] = std::fma(-d_y[i], sine[i], d_y[j] * cosine[i]);
  }
  if (weight == nullptr) return;
  const auto normal = [&](std::int64_t i) { return x[i] * inverse; };
  const float mean = dot_of_lanes(
                         d, [&](std::int64_t i) { return d_x[i] * weight[i]; }, normal) /
                     static_cast<float>(d);
  for (std::int64_t i = 0; i < d; ++i) {
    d_weight[i] = std::fma(d_x[i], normal(i), d_weight[i]);
    d_x[i] = inverse * std::fma(-normal(i), mean, d_x[i] * weight[i]);
  }
}

struct Parameter {
  float weight, moment1, moment2, average;
};
inline Parameter adamw(const AdamWScalars& s, Parameter p, float gradient, float ema_beta, float ema_one_minus_beta) {
  const float g = gradient * s.clip_scale;
  p.moment1 = std::fma(s.one_minus_beta1, g, s.beta1 * p.moment1);
  p.moment2 = std::fma(s.one_minus_beta2 * g, g, s.beta2 * p.moment2);
  const float update = (p.moment1 * s.bias1) / (std::sqrt(p.moment2 * s.bias2) + s.epsilon);
  p.weight = std::fma(-s.learning_rate, update, std::fma(-s.decay, p.weight, p.weight));
  p.average = std::fma(ema_beta, p.average, ema_one_minus_beta * p.weight);
  return p;
}

}  // namespace longhaul::kernels::statement
