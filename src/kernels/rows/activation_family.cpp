#include "kernels/elementary/elementary.h"
#include "kernels/rows/rows_family.h"
#include "kernels/vectors/lanes.h"

namespace longhaul::kernels::LONGHAUL_FAMILY {
namespace {

void add_bias_residual(const float* y, const float* bias, const float* residual, float* out, std::int64_t n, std::int64_t width) {
  if (bias == nullptr) n *= width, width = n, n = n > 0 ? 1 : 0;  // plain addition: one long row
  for (std::int64_t t = 0; t < n; ++t, y += width, out += width, residual += width) {
    for_vectors(0, width, [&](std::int64_t i, auto lanes) {
      F32x16 a = load_some(y + i, lanes);
      if (bias) a = a + load_some(bias + i, lanes);
      store_some(load_some(residual + i, lanes) + a, out + i, lanes);
    });
  }
}

void bias_backward(const float* d_y, std::int64_t stride, float* d_bias, std::int64_t n, std::int64_t begin, std::int64_t end) {
  column_chains(n, begin, end, d_bias,
                [&](F32x16 sum, std::int64_t t, std::int64_t j, auto lanes) { return sum + load_some(d_y + t * stride + j, lanes); });
}

template <typename T>
void round_as(const float* x, T* out, std::int64_t count) {
  for_vectors(0, count, [&](std::int64_t i, auto lanes) { store_some(load_some(x + i, lanes), out + i, lanes); });
}
void round_to(const float* x, void* out, ElementType type, std::int64_t count) {
  if (type == ElementType::bf16)
    round_as(x, static_cast<bf16*>(out), count);
  else
    round_as(x, static_cast<float*>(out), count);
}

// GELU's tanh form is y·σ(2z), z = √(2/π)·(y + 0.044715 y³): ½(1 + tanh z) = σ(2z), and σ loses no bits where tanh nears -1.
constexpr float kTwoRootTwoOverPi = 0x1.988454p+0f;  // 2√(2/π)
constexpr float kCubic = 0.044715f, kThreeCubic = 0.134145f;

LONGHAUL_INLINE F32x16 gelu_gate(F32x16 y, F32x16 square) {
  return sigmoid((splat(kTwoRootTwoOverPi) * y) * fma(splat(kCubic), square, splat(1.0f)));
}

template <typename T>
void gelu_forward_as(float* y, const float* bias, T* out, std::int64_t n, std::int64_t width) {
  for (std::int64_t t = 0; t < n; ++t, y += width, out += width) {
    for_vectors(0, width, [&](std::int64_t i, auto lanes) {
      F32x16 a = load_some(y + i, lanes);
      if (bias) {
        a = a + load_some(bias + i, lanes);
        store_some(a, y + i, lanes);
      }
      store_some(a * gelu_gate(a, a * a), out + i, lanes);
    });
  }
}
void gelu_forward(float* y, const float* bias, void* out, ElementType type, std::int64_t n, std::int64_t width) {
  if (type == ElementType::bf16)
    gelu_forward_as(y, bias, static_cast<bf16*>(out), n, width);
  else
    gelu_forward_as(y, bias, static_cast<float*>(out), n, width);
}

// d/dy = s + y·s(1-s)·(2z)', (2z)' = 2√(2/π)·(1 + 3·0.044715 y²).
void gelu_backward(const float* d_out, const float* y, float* d_y, std::int64_t count) {
  for_vectors(0, count, [&](std::int64_t i, auto lanes) {
    const F32x16 a = load_some(y + i, lanes);
    const F32x16 square = a * a;
    const F32x16 s = gelu_gate(a, square);
    const F32x16 slope = splat(kTwoRootTwoOverPi) * fma(splat(kThreeCubic), square, splat(1.0f));
    const F32x16 derivative = fma(a * fnma(s, s, s), slope, s);
    store_some(load_some(d_out + i, lanes) * derivative, d_y + i, lanes);
  });
}

template <typename T>
void swiglu_forward_as(const float* gate, const float* up, T* out, std::int64_t count) {
  for_vectors(0, count, [&](std::int64_t i, auto lanes) {
    const F32x16 g = load_some(gate + i, lanes);
    store_some((g * sigmoid(g)) * load_some(up + i, lanes), out + i, lanes);
  });
}
void swiglu_forward(const float* gate, const float* up, void* out, ElementType type, std::int64_t count) {
  if (type == ElementType::bf16)
    swiglu_forward_as(gate, up, static_cast<bf16*>(out), count);
  else
    swiglu_forward_as(gate, up, static_cast<float*>(out), count);
}

// silu' = s + g·s·(1-s).
template <typename T>
void swiglu_backward_as(const float* d_out, const float* gate, const float* up, T* d_gate, T* d_up, std::int64_t count) {
  for_vectors(0, count, [&](std::int64_t i, auto lanes) {
    const F32x16 d = load_some(d_out + i, lanes), g = load_some(gate + i, lanes), u = load_some(up + i, lanes);
    const F32x16 s = sigmoid(g);
    const F32x16 silu = g * s;
    store_some((d * u) * fma(silu, splat(1.0f) - s, s), d_gate + i, lanes);
    store_some(d * silu, d_up + i, lanes);
  });
}
void swiglu_backward(const float* d_out, const float* gate, const float* up, void* d_gate, void* d_up, ElementType type,
                     std::int64_t count) {
  if (type == ElementType::bf16)
    swiglu_backward_as(d_out, gate, up, static_cast<bf16*>(d_gate), static_cast<bf16*>(d_up), count);
  else
    swiglu_backward_as(d_out, gate, up, static_cast<float*>(d_gate), static_cast<float*>(d_up), count);
}

}  // namespace

extern const ActivationTable activation_table = {add_bias_residual, bias_backward,  round_to,       gelu_forward,
                                                 gelu_backward,     swiglu_forward, swiglu_backward};

}  // namespace longhaul::kernels::LONGHAUL_FAMILY
