#include "kernels/elementary/elementary64.h"
#include "kernels/partition.h"
#include "kernels/rows/rows.h"
#include "kernels/rows/rows_family.h"

namespace longhaul::kernels {
namespace {

const HeadsTable& table(const Context& context) { return LONGHAUL_FAMILY_SELECT(context.family, heads_table); }

}  // namespace

void heads_forward(const Context& context, const HeadShape& shape, const HeadOptions& options, float* qkv, const std::int32_t* positions,
                   void* q, void* k, void* v, float* statistics) {
  const HeadsTable& kernels = table(context);
  const ElementType type = operand_type(context.order);
  const std::int64_t size = size_of(type), normed = shape.heads + shape.kv_heads;
  const std::int64_t q_row = shape.heads * shape.head_dim * size, kv_row = shape.kv_heads * shape.head_dim * size;
  run_rows(context, shape.tokens, shape.row() * (4 + size), [&](std::int64_t begin, std::int64_t end) {
    kernels.forward(shape, options, qkv + begin * shape.row(), options.cosine ? positions + begin : nullptr,
                    static_cast<char*>(q) + begin * q_row, static_cast<char*>(k) + begin * kv_row, static_cast<char*>(v) + begin * kv_row,
                    type, statistics ? statistics + begin * normed : nullptr, end - begin);
  });
}

void heads_backward(const Context& context, const HeadShape& shape, const HeadOptions& options, const float* qkv, const float* statistics,
                    const std::int32_t* positions, const float* dq, const float* dk, const float* dv, float* d_qkv, float* d_q_norm,
                    float* d_k_norm) {
  const HeadsTable& kernels = table(context);
  const std::int64_t q_row = shape.heads * shape.head_dim, kv_row = shape.kv_heads * shape.head_dim, row = shape.row();
  run_rows(context, shape.tokens, row * 8, [&](std::int64_t begin, std::int64_t end) {
    kernels.backward_rotation(shape, options, options.cosine ? positions + begin : nullptr, dq + begin * q_row, dk + begin * kv_row,
                              dv + begin * kv_row, d_qkv + begin * row, end - begin);
  });
  if (options.q_norm == nullptr && options.k_norm == nullptr) return;
  if (options.q_norm) {
    run_columns(context, shape.head_dim, shape.tokens * shape.heads * 8, [&](std::int64_t begin, std::int64_t end) {
      kernels.backward_norm_weights(shape, qkv, statistics, d_qkv, d_q_norm, 0, shape.heads, begin, end);
    });
  }
  if (options.k_norm) {
    run_columns(context, shape.head_dim, shape.tokens * shape.kv_heads * 8, [&](std::int64_t begin, std::int64_t end) {
      kernels.backward_norm_weights(shape, qkv, statistics, d_qkv, d_k_norm, shape.heads, shape.kv_heads, begin, end);
    });
  }
  const std::int64_t normed = shape.heads + shape.kv_heads;
  run_rows(context, shape.tokens, row * 12, [&](std::int64_t begin, std::int64_t end) {
    kernels.backward_norm(shape, options, qkv + begin * row, statistics + begin * normed, d_qkv + begin * row, end - begin);
  });
}

void rope_table(double theta, std::int64_t positions, std::int64_t head_dim, float* cosine, float* sine) {
  const std::int64_t half = head_dim / 2;
  for (std::int64_t i = 0; i < half; ++i) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(head_dim);
    const float inverse_frequency = 1.0f / static_cast<float>(pow64(theta, static_cast<double>(exponent)));
    for (std::int64_t position = 0; position < positions; ++position) {
      const float angle = static_cast<float>(position) * inverse_frequency;
      const SineCosine at = sincos64(static_cast<double>(angle));
      cosine[position * half + i] = static_cast<float>(at.cosine);
      sine[position * half + i] = static_cast<float>(at.sine);
    }
  }
}

}  // namespace longhaul::kernels
