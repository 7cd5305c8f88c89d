#include "kernels/rows/rows_family.h"
#include "kernels/vectors/lanes.h"

namespace longhaul::kernels::LONGHAUL_FAMILY {
namespace {

struct Statistics {
  float mean, inverse;  ///< of a row: mean (0 for RMSNorm), 1/√(variance + ε)
};

LONGHAUL_INLINE Statistics statistics_of(const NormShape& shape, const float* x) {
  const float width = static_cast<float>(shape.width);
  float mean = 0;
  if (shape.kind == NormKind::layer_norm) {
    mean = row_sum(shape.width, [&](F32x16 sum, std::int64_t i, auto lanes) { return sum + load_some(x + i, lanes); }) / width;
  }
  const F32x16 centre = splat(mean);
  const float squares = row_sum(shape.width, [&](F32x16 sum, std::int64_t i, auto lanes) {
    const F32x16 a = only(load_some(x + i, lanes) - centre, lanes);
    return fma(a, a, sum);
  });
  return {mean, 1.0f / square_root(squares / width + shape.epsilon)};
}

template <typename T>
void forward_as(const NormShape& shape, const float* x, const float* weight, const float* bias, T* out, float* statistics,
                std::int64_t tokens) {
  for (std::int64_t t = 0; t < tokens; ++t, x += shape.width, out += shape.width) {
    const Statistics row = statistics_of(shape, x);
    statistics[2 * t] = row.mean;
    statistics[2 * t + 1] = row.inverse;
    const F32x16 mean = splat(row.mean), inverse = splat(row.inverse);
    if (bias) {
      for_vectors(0, shape.width, [&](std::int64_t i, auto lanes) {
        const F32x16 normal = (load_some(x + i, lanes) - mean) * inverse;
        store_some(fma(normal, load_some(weight + i, lanes), load_some(bias + i, lanes)), out + i, lanes);
      });
    } else {
      for_vectors(0, shape.width, [&](std::int64_t i, auto lanes) {
        const F32x16 normal = (load_some(x + i, lanes) - mean) * inverse;
        store_some(normal * load_some(weight + i, lanes), out + i, lanes);
      });
    }
  }
}

void forward(const NormShape& shape, const float* x, const float* weight, const float* bias, void* out, ElementType type, float* statistics,
             std::int64_t tokens) {
  if (type == ElementType::bf16)
    forward_as(shape, x, weight, bias, static_cast<bf16*>(out), statistics, tokens);
  else
    forward_as(shape, x, weight, bias, static_cast<float*>(out), statistics, tokens);
}

// With x̂ = (x-μ)/σ and g = d_out·w: d_x = (g - mean(g) - x̂·mean(g·x̂))/σ; RMSNorm has no mean(g).
template <bool kCentred, bool kResidual>
void backward_rows(const NormShape& shape, const float* d_out, const float* x, const float* weight, const float* statistics,
                   const float* d_residual, float* d_x, std::int64_t tokens) {
  const std::int64_t width = shape.width;
  const float count = static_cast<float>(width);
  for (std::int64_t t = 0; t < tokens; ++t, d_out += width, x += width, d_x += width) {
    const F32x16 mean = splat(statistics[2 * t]), inverse = splat(statistics[2 * t + 1]);
    F32x16 sum_g = F32x16::zero(), sum_gx = F32x16::zero();
    for_vectors(0, width, [&](std::int64_t i, auto lanes) {
      const F32x16 g = load_some(d_out + i, lanes) * load_some(weight + i, lanes);
      const F32x16 normal = (load_some(x + i, lanes) - mean) * inverse;
      if constexpr (kCentred) sum_g = sum_g + g;
      sum_gx = fma(g, normal, sum_gx);
    });
    const F32x16 mean_g = kCentred ? splat(reduce_tree(sum_g) / count) : F32x16::zero();
    const F32x16 mean_gx = splat(reduce_tree(sum_gx) / count);
    for_vectors(0, width, [&](std::int64_t i, auto lanes) {
      F32x16 g = load_some(d_out + i, lanes) * load_some(weight + i, lanes);
      const F32x16 normal = (load_some(x + i, lanes) - mean) * inverse;
      if constexpr (kCentred) g = g - mean_g;
      const F32x16 inner = fnma(normal, mean_gx, g);
      store_some(kResidual ? fma(inverse, inner, load_some(d_residual + t * width + i, lanes)) : inverse * inner, d_x + i, lanes);
    });
  }
}

void backward_x(const NormShape& shape, const float* d_out, const float* x, const float* weight, const float* statistics,
                const float* d_residual, float* d_x, std::int64_t tokens) {
  const bool centred = shape.kind == NormKind::layer_norm;
  const auto rows = centred ? (d_residual ? backward_rows<true, true> : backward_rows<true, false>)
                            : (d_residual ? backward_rows<false, true> : backward_rows<false, false>);
  rows(shape, d_out, x, weight, statistics, d_residual, d_x, tokens);
}

void backward_weights(const NormShape& shape, const float* d_out, const float* x, const float* statistics, float* d_weight, float* d_bias,
                      std::int64_t begin, std::int64_t end) {
  const std::int64_t width = shape.width;
  column_chains(shape.tokens, begin, end, d_weight, [&](F32x16 sum, std::int64_t t, std::int64_t j, auto lanes) {
    const F32x16 normal = (load_some(x + t * width + j, lanes) - splat(statistics[2 * t])) * splat(statistics[2 * t + 1]);
    return fma(load_some(d_out + t * width + j, lanes), normal, sum);
  });
  if (d_bias) {
    column_chains(shape.tokens, begin, end, d_bias,
                  [&](F32x16 sum, std::int64_t t, std::int64_t j, auto lanes) { return sum + load_some(d_out + t * width + j, lanes); });
  }
}

}  // namespace

extern const NormTable norm_table = {forward, backward_x, backward_weights};

}  // namespace longhaul::kernels::LONGHAUL_FAMILY
