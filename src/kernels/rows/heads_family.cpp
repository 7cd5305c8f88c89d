#include "kernels/rows/rows_family.h"
#include "kernels/vectors/lanes.h"

namespace longhaul::kernels::LONGHAUL_FAMILY {
namespace {

/// The two halves of a head turn as the coordinates of a plane (rotate_half): (a, b) → (a·cos - b·sin, b·cos + a·sin).
struct Rotation {
  const float* cosine;  ///< of this position; null: no rotation
  const float* sine;
};

LONGHAUL_INLINE Rotation rotation_at(const HeadOptions& options, const std::int32_t* positions, std::int64_t token, std::int64_t half) {
  if (options.cosine == nullptr) return {nullptr, nullptr};
  return {options.cosine + positions[token] * half, options.sine + positions[token] * half};
}

/// out = rotation(x·inverse·weight); weight null: out = rotation(x).
template <typename T>
LONGHAUL_INLINE void emit_head(const float* x, float inverse, const float* weight, Rotation rotation, T* out, std::int64_t head_dim) {
  const F32x16 by = splat(inverse);
  const auto normal = [&](std::int64_t i, auto lanes) {
    const F32x16 a = load_some(x + i, lanes);
    return weight ? (a * by) * load_some(weight + i, lanes) : a;
  };
  if (rotation.cosine == nullptr) {
    for_vectors(0, head_dim, [&](std::int64_t i, auto lanes) { store_some(normal(i, lanes), out + i, lanes); });
    return;
  }
  const std::int64_t half = head_dim / 2;
  for_vectors(0, half, [&](std::int64_t i, auto lanes) {
    const F32x16 a = normal(i, lanes), b = normal(i + half, lanes);
    const F32x16 cosine = load_some(rotation.cosine + i, lanes), sine = load_some(rotation.sine + i, lanes);
    store_some(fnma(b, sine, a * cosine), out + i, lanes);
    store_some(fma(a, sine, b * cosine), out + half + i, lanes);
  });
}

LONGHAUL_INLINE float inverse_rms(const float* x, std::int64_t n, float epsilon) {
  const float squares = row_sum(n, [&](F32x16 sum, std::int64_t i, auto lanes) {
    const F32x16 a = load_some(x + i, lanes);
    return fma(a, a, sum);
  });
  return 1.0f / square_root(squares / static_cast<float>(n) + epsilon);
}

template <typename T>
void forward_as(const HeadShape& shape, const HeadOptions& options, float* qkv, const std::int32_t* positions, T* q, T* k, T* v,
                float* statistics, std::int64_t tokens) {
  const std::int64_t d = shape.head_dim, row = (shape.heads + 2 * shape.kv_heads) * d, normed = shape.heads + shape.kv_heads;
  for (std::int64_t t = 0; t < tokens; ++t, qkv += row) {
    if (options.bias) {
      for_vectors(0, row, [&](std::int64_t i, auto lanes) {
        store_some(load_some(qkv + i, lanes) + load_some(options.bias + i, lanes), qkv + i, lanes);
      });
    }
    const Rotation rotation = rotation_at(options, positions, t, d / 2);
    for (std::int64_t h = 0; h < normed; ++h) {
      const bool query = h < shape.heads;
      const float* weight = query ? options.q_norm : options.k_norm;
      const float inverse = weight ? inverse_rms(qkv + h * d, d, options.epsilon) : 1.0f;
      if (weight) statistics[t * normed + h] = inverse;
      T* out = query ? q + (t * shape.heads + h) * d : k + (t * shape.kv_heads + h - shape.heads) * d;
      emit_head(qkv + h * d, inverse, weight, rotation, out, d);
    }
    const float* values = qkv + normed * d;
    T* out = v + t * shape.kv_heads * d;
    for_vectors(0, shape.kv_heads * d, [&](std::int64_t i, auto lanes) { store_some(load_some(values + i, lanes), out + i, lanes); });
  }
}

void forward(const HeadShape& shape, const HeadOptions& options, float* qkv, const std::int32_t* positions, void* q, void* k, void* v,
             ElementType type, float* statistics, std::int64_t tokens) {
  if (type == ElementType::bf16)
    forward_as(shape, options, qkv, positions, static_cast<bf16*>(q), static_cast<bf16*>(k), static_cast<bf16*>(v), statistics, tokens);
  else
    forward_as(shape, options, qkv, positions, static_cast<float*>(q), static_cast<float*>(k), static_cast<float*>(v), statistics, tokens);
}

/// The gradient turns back: (da, db) → (da·cos + db·sin, db·cos - da·sin).
LONGHAUL_INLINE void turn_back(const float* d_y, Rotation rotation, float* d_x, std::int64_t head_dim) {
  const std::int64_t half = head_dim / 2;
  for_vectors(0, half, [&](std::int64_t i, auto lanes) {
    const F32x16 a = load_some(d_y + i, lanes), b = load_some(d_y + half + i, lanes);
    const F32x16 cosine = load_some(rotation.cosine + i, lanes), sine = load_some(rotation.sine + i, lanes);
    store_some(fma(b, sine, a * cosine), d_x + i, lanes);
    store_some(fnma(a, sine, b * cosine), d_x + half + i, lanes);
  });
}

LONGHAUL_INLINE void copy_row(const float* x, float* out, std::int64_t n) {
  for_vectors(0, n, [&](std::int64_t i, auto lanes) { store_some(load_some(x + i, lanes), out + i, lanes); });
}

void backward_rotation(const HeadShape& shape, const HeadOptions& options, const std::int32_t* positions, const float* dq, const float* dk,
                       const float* dv, float* d_qkv, std::int64_t tokens) {
  const std::int64_t d = shape.head_dim, q_row = shape.heads * d, kv_row = shape.kv_heads * d;
  for (std::int64_t t = 0; t < tokens; ++t, dq += q_row, dk += kv_row, dv += kv_row, d_qkv += q_row + 2 * kv_row) {
    const Rotation rotation = rotation_at(options, positions, t, d / 2);
    if (rotation.cosine == nullptr) {
      copy_row(dq, d_qkv, q_row);
      copy_row(dk, d_qkv + q_row, kv_row);
    } else {
      for (std::int64_t h = 0; h < shape.heads; ++h) turn_back(dq + h * d, rotation, d_qkv + h * d, d);
      for (std::int64_t h = 0; h < shape.kv_heads; ++h) turn_back(dk + h * d, rotation, d_qkv + q_row + h * d, d);
    }
    copy_row(dv, d_qkv + q_row + kv_row, kv_row);
  }
}

void backward_norm_weights(const HeadShape& shape, const float* qkv, const float* statistics, const float* d_qkv, float* d_weight,
                           std::int64_t first_head, std::int64_t heads, std::int64_t begin, std::int64_t end) {
  const std::int64_t d = shape.head_dim, row = (shape.heads + 2 * shape.kv_heads) * d, normed = shape.heads + shape.kv_heads;
  constexpr std::int64_t kBlock = 4;  // tokens whose heads stay in the first-level cache while the accumulators pass by
  for (std::int64_t block = 0; block < shape.tokens; block += kBlock) {
    const std::int64_t last = block + kBlock < shape.tokens ? block + kBlock : shape.tokens;
    for_vectors(begin, end, [&](std::int64_t i, auto lanes) {
      F32x16 sum = load_some(d_weight + i, lanes);
      for (std::int64_t t = block; t < last; ++t) {
        for (std::int64_t h = first_head; h < first_head + heads; ++h) {
          const std::int64_t at = t * row + h * d + i;
          sum = fma(load_some(d_qkv + at, lanes), load_some(qkv + at, lanes) * splat(statistics[t * normed + h]), sum);
        }
      }
      store_some(sum, d_weight + i, lanes);
    });
  }
}

void backward_norm(const HeadShape& shape, const HeadOptions& options, const float* qkv, const float* statistics, float* d_qkv,
                   std::int64_t tokens) {
  const std::int64_t d = shape.head_dim, row = (shape.heads + 2 * shape.kv_heads) * d, normed = shape.heads + shape.kv_heads;
  for (std::int64_t t = 0; t < tokens; ++t, qkv += row, d_qkv += row, statistics += normed) {
    for (std::int64_t h = 0; h < normed; ++h) {
      const float* weight = h < shape.heads ? options.q_norm : options.k_norm;
      if (weight == nullptr) continue;
      const float* x = qkv + h * d;
      float* gradient = d_qkv + h * d;
      const F32x16 inverse = splat(statistics[h]);
      const float products = row_sum(d, [&](F32x16 sum, std::int64_t i, auto lanes) {
        const F32x16 g = load_some(gradient + i, lanes) * load_some(weight + i, lanes);
        return fma(g, load_some(x + i, lanes) * inverse, sum);
      });
      const F32x16 mean = splat(products / static_cast<float>(d));
      for_vectors(0, d, [&](std::int64_t i, auto lanes) {
        const F32x16 g = load_some(gradient + i, lanes) * load_some(weight + i, lanes);
        store_some(inverse * fnma(load_some(x + i, lanes) * inverse, mean, g), gradient + i, lanes);
      });
    }
  }
}

}  // namespace

extern const HeadsTable heads_table = {forward, backward_rotation, backward_norm_weights, backward_norm};

}  // namespace longhaul::kernels::LONGHAUL_FAMILY
