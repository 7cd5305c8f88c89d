#include "kernels/attention/attention.h"

#include "kernels/attention/attention_family.h"
#include "kernels/attention/attention_scale.h"
#include "kernels/product/gemm_family.h"

namespace longhaul::kernels {
namespace {

constexpr std::int64_t kTile = 64;

std::int64_t round_up(std::int64_t n, std::int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

// Hands out a thread's arrays one after another on cache lines; with a null base it only counts.
struct Carver {
  float* base;
  std::int64_t used = 0;
  float* take(std::int64_t floats) {
    float* at = base == nullptr ? nullptr : base + used;
    used += round_up(floats, 16);
    return at;
  }
};

// Sizes are those of the styles whose unit is one float; VDPBF16PS needs half of what holds operands.
AttentionSpace carve(const AttentionShape& shape, bool backward, Carver& carver) {
  const std::int64_t padded = round_up(shape.head_dim, 16), tiles = round_up(shape.sequence_length, kTile) / kTile;
  const std::int64_t panel = padded * kTile;
  AttentionSpace space{};
  space.k_columns = carver.take(tiles * panel);
  if (backward) {
    space.k_rows = carver.take(tiles * panel);
    space.v_columns = carver.take(tiles * panel);
    space.d_k = carver.take(tiles * panel);
    space.d_v = carver.take(tiles * panel);
    space.d_o = carver.take(panel);
    space.q_columns = carver.take(panel);
    space.d_o_columns = carver.take(panel);
    space.joined = carver.take(panel);
    space.d_p = carver.take(kTile * kTile);
    space.d_s = carver.take(kTile * kTile);
    space.d_s_rows = carver.take(kTile * kTile);
    space.correction = carver.take(kTile);
  } else {
    space.v_rows = carver.take(tiles * panel);
    space.row_sum = carver.take(kTile);
  }
  space.q = carver.take(panel);
  space.result = carver.take(panel);
  space.scores = carver.take(kTile * kTile);
  space.p = carver.take(kTile * kTile);
  space.row_max = carver.take(kTile);
  space.row_factor = carver.take(kTile);
  return space;
}

std::size_t workspace_bytes(const AttentionShape& shape, bool backward, int threads) {
  Carver counter{nullptr};
  carve(shape, backward, counter);
  return static_cast<std::size_t>(counter.used * threads) * sizeof(float);
}

AttentionSpace space_of_thread(const AttentionShape& shape, bool backward, void* workspace, int thread) {
  Carver counter{nullptr};
  carve(shape, backward, counter);
  Carver carver{static_cast<float*>(workspace) + counter.used * thread};
  return carve(shape, backward, carver);
}

}  // namespace

std::size_t attention_forward_workspace(const AttentionShape& shape, Order /*order*/, int threads) {
  return workspace_bytes(shape, false, threads);
}
std::size_t attention_backward_workspace(const AttentionShape& shape, Order /*order*/, int threads) {
  return workspace_bytes(shape, true, threads);
}

const AttentionTable& attention_kernel(Family family, Order order) {
  const bool emulate = family == Family::avx512_bf16 && order == Order::dp2 && !native_pairs_pay();
  return LONGHAUL_FAMILY_SELECT(emulate ? Family::avx512 : family, attention_table);
}

void attention_forward_with(const AttentionTable& table, const Context& context, const AttentionShape& shape, const void* q, const void* k,
                            const void* v, const std::int32_t* document_start, void* o, float* row_max, float* row_sum, void* workspace) {
  const AttentionJob job{
      shape,   context.order, attention_scale(shape.head_dim), q, k, v, document_start, o, row_max, row_sum, nullptr, nullptr,
      nullptr, nullptr};
  // Where there are few heads their query blocks are shared out too; each share packs the keys for itself (1/T of its work).
  const std::int64_t heads = shape.sequences * shape.kv_heads, wanted = std::int64_t{4} * context.pool.threads();
  const std::int64_t blocks = round_up(shape.sequence_length, kTile) / kTile * (shape.heads / shape.kv_heads);
  const std::int64_t shares = context.pool.threads() == 1 || heads >= wanted ? 1 : (wanted + heads - 1) / heads;
  const std::int64_t parts = shares < blocks ? shares : blocks;
  context.pool.run(heads * parts, [&](std::int64_t index, int thread) {
    const std::int64_t head = index / parts;
    table.forward(job, space_of_thread(shape, false, workspace, thread), head / shape.kv_heads, head % shape.kv_heads, index % parts,
                  parts);
  });
}

void attention_backward_with(const AttentionTable& table, const Context& context, const AttentionShape& shape, const void* q, const void* k,
                             const void* v, const void* o, const float* d_o, const float* row_max, const float* row_sum,
                             const std::int32_t* document_start, float* dq, float* dk, float* dv, void* workspace) {
  const AttentionJob job{shape,
                         context.order,
                         attention_scale(shape.head_dim),
                         q,
                         k,
                         v,
                         document_start,
                         const_cast<void*>(o),
                         const_cast<float*>(row_max),
                         const_cast<float*>(row_sum),
                         d_o,
                         dq,
                         dk,
                         dv};
  context.pool.run(shape.sequences * shape.kv_heads, [&](std::int64_t index, int thread) {
    table.backward(job, space_of_thread(shape, true, workspace, thread), index / shape.kv_heads, index % shape.kv_heads);
  });
}

void attention_forward(const Context& context, const AttentionShape& shape, const void* q, const void* k, const void* v,
                       const std::int32_t* document_start, void* o, float* row_max, float* row_sum, void* workspace) {
  attention_forward_with(attention_kernel(context.family, context.order), context, shape, q, k, v, document_start, o, row_max, row_sum,
                         workspace);
}

void attention_backward(const Context& context, const AttentionShape& shape, const void* q, const void* k, const void* v, const void* o,
                        const float* d_o, const float* row_max, const float* row_sum, const std::int32_t* document_start, float* dq,
                        float* dk, float* dv, void* workspace) {
  attention_backward_with(attention_kernel(context.family, context.order), context, shape, q, k, v, o, d_o, row_max, row_sum,
                          document_start, dq, dk, dv, workspace);
}

}  // namespace longhaul::kernels
