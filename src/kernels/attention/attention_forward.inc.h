// kernels/attention/attention_forward.inc.h — online softmax over key tiles (Milakov & Gimelshein 2018; tiling as in Dao et al. 2022, alg.
// 1). Included by attention_family.cpp only.
#pragma once

namespace longhaul::kernels::LONGHAUL_FAMILY {
namespace {

constexpr float kLowest = -3.402823466e38f;  // the running maximum before the first key; finite, so that differences are not NaN
constexpr float kMinusInfinity = -__builtin_inff();

template <Style S>
LONGHAUL_INLINE void store_p(F32x16 p, float* row, Index vector) {
#ifdef __AVX512BF16__
  if constexpr (S == Style::native) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(row + 8 * vector), (__m256i)_mm512_cvtneps_pbh(p.v));
    return;
  }
#endif
  to_operand<S>(p).store(row + 16 * vector);
}

struct Sum {
  LONGHAUL_INLINE F32x16 operator()(F32x16 a, F32x16 b) const { return a + b; }
  LONGHAUL_INLINE float operator()(F32x16 a) const { return reduce_tree(a); }
};
struct Maximum {
  LONGHAUL_INLINE F32x16 operator()(F32x16 a, F32x16 b) const { return max(a, b); }
  LONGHAUL_INLINE float operator()(F32x16 a) const { return reduce_max(a); }
};

// Lane r = the tree over the lanes of x[r]: sixteen reductions at the price of seven.
template <typename Reduce>
LONGHAUL_INLINE F32x16 reduce_rows(const F32x16 (&x)[kGroup], Reduce reduce) {
#ifdef __AVX512F__
  F32x16 y[8], z[4], w[2];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {  // neighbours, rows 2i and 2i+1 alternating
    const __m512 a = x[2 * i].v, b = x[2 * i + 1].v;
    y[i] = reduce(F32x16{_mm512_mask_blend_ps(0xaaaa, a, b)}, F32x16{_mm512_permute_ps(_mm512_mask_blend_ps(0xaaaa, b, a), 0xb1)});
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {  // fours, rows 4i … 4i+3
    const __m512 a = y[2 * i].v, b = y[2 * i + 1].v;
    z[i] = reduce(F32x16{_mm512_mask_blend_ps(0xcccc, a, b)}, F32x16{_mm512_permute_ps(_mm512_mask_blend_ps(0xcccc, b, a), 0x4e)});
  }
#pragma GCC unroll 2
  for (int i = 0; i < 2; ++i) {
    const __m512 a = z[2 * i].v, b = z[2 * i + 1].v;
    w[i] = reduce(F32x16{_mm512_shuffle_f32x4(a, b, 0x88)}, F32x16{_mm512_shuffle_f32x4(a, b, 0xdd)});
  }
  return reduce(F32x16{_mm512_shuffle_f32x4(w[0].v, w[1].v, 0x88)}, F32x16{_mm512_shuffle_f32x4(w[0].v, w[1].v, 0xdd)});
#else
  float out[kGroup];
  for (Index r = 0; r < kGroup; ++r) out[r] = reduce(x[r]);
  return F32x16::load(out);
#endif
}

// One tile of a group of up to 16 rows: scores become P (rounded), maximum and sum move on, row_factor says by how much the accumulator
// must shrink. `scores`, `p` and the statistics begin at the group's first row.
template <Style S, bool Masked>
void softmax_group(const AttentionJob& job, const QueryBlock& block, Index tile, Index row, GroupView group, float* scores, float* p,
                   float* row_max, float* row_sum, float* row_factor) {
  const Index first = Masked ? group.first : 0, last = Masked ? group.last : kTile / 16;
  F32x16 row_lanes[kGroup];
  for (F32x16& lanes : row_lanes) lanes = F32x16::zero();
  const F32x16 scale = splat(job.scale);
  for (Index r = 0; r < group.rows; ++r) {
    const KeyRange range = key_range(block, tile, row + r);
    F32x16 largest = splat(kMinusInfinity);
    for (Index n = first; n < last; ++n) {
      F32x16 s = F32x16::load(scores + r * kTile + 16 * n) * scale;
      if constexpr (Masked) s = select(visible(range, n), s, splat(kMinusInfinity));
      s.store(scores + r * kTile + 16 * n);
      largest = max(largest, s);
    }
    row_lanes[r] = largest;
  }
  const F32x16 old_max = F32x16::load(row_max);
  const F32x16 new_max = max(old_max, reduce_rows(row_lanes, Maximum{})) + F32x16::zero();
  const F32x16 factor = exp(old_max - new_max);
  new_max.store(row_max);
  factor.store(row_factor);
  for (Index r = 0; r < group.rows; ++r) {
    const F32x16 m = splat(row_max[r]);
    F32x16 lanes = F32x16::zero();
    for (Index n = first; n < last; ++n) {
      const F32x16 e = exp(F32x16::load(scores + r * kTile + 16 * n) - m);
      lanes = lanes + e;
      store_p<S>(e, p + r * units<S>(kTile), n);
    }
    row_lanes[r] = lanes;
  }
  fma(F32x16::load(row_sum), factor, reduce_rows(row_lanes, Sum{})).store(row_sum);
}

// Rows of the accumulator times their factors; most factors are 1 once the maximum is found.
void rescale(float* result, Index padded, const float* row_factor, Index rows) {
  for (Index r = 0; r < rows; ++r) {
    if (row_factor[r] == 1.0f) continue;
    const F32x16 factor = splat(row_factor[r]);
    for (Index d = 0; d < padded; d += 16) (F32x16::load(result + r * padded + d) * factor).store(result + r * padded + d);
  }
}

template <Style S>
void forward_tile(const AttentionJob& job, const AttentionSpace& space, const HeadView& head, const QueryBlock& block, Index tile) {
  multiply_scores<S>(block, tile, head, space.q, space.k_columns + tile * units<S>(head.padded) * kTile, space.scores);
  for (Index r = 0; r < block.rows_even; r += kGroup) {
    const GroupView group = group_view(block, tile, r);
    if (group.empty()) {
      fill(space.row_factor + r, kGroup, 1.0f);
      continue;
    }
    const auto run = [&](auto softmax) {
      softmax(job, block, tile, r, group, space.scores + r * kTile, space.p + r * units<S>(kTile), space.row_max + r, space.row_sum + r,
              space.row_factor + r);
    };
    if (group.masked)
      run(softmax_group<S, true>);
    else
      run(softmax_group<S, false>);
  }
  rescale(space.result, head.padded, space.row_factor, block.rows_even);
  multiply_keys<S>(block, tile, head, space.p, space.v_rows + tile * units<S>(kTile) * head.padded, space.result);
}

template <Style S>
void forward_block(const AttentionJob& job, const AttentionSpace& space, const HeadView& head, Index index) {
  const QueryBlock block = query_block(head, index);
  const Index q_offset = head.q_offset + block.first * head.q_stride;
  pack_rows<S>(operand_at<S>(job.q, q_offset), head.q_stride, block.rows, head.head_dim, space.q);
  fill(space.result, kTile * head.padded, 0.0f);
  fill(space.row_max, kTile, kLowest);
  fill(space.row_sum, kTile, 0.0f);
  for (Index tile = block.first_tile; tile <= block.last_tile; ++tile) forward_tile<S>(job, space, head, block, tile);

  const auto normalised = [&](F32x16 x, Index r) { return x / splat(space.row_sum[r]) + F32x16::zero(); };
  if constexpr (S == Style::fma)
    store_rows(space.result, head.padded, block.rows, head.head_dim, static_cast<float*>(job.o) + q_offset, head.q_stride, normalised);
  else
    store_rows(space.result, head.padded, block.rows, head.head_dim, static_cast<bf16*>(job.o) + q_offset, head.q_stride, normalised);
  for (Index r = 0; r < block.rows; ++r) {
    job.row_max[head.statistics + block.first + r] = space.row_max[r];
    job.row_sum[head.statistics + block.first + r] = space.row_sum[r];
  }
}

template <Style S>
void forward_piece(const AttentionJob& job, const AttentionSpace& space, Index sequence, Index kv_head, Index part, Index parts) {
  const Index group = job.shape.heads / job.shape.kv_heads;
  const HeadView any = head_view(job, sequence, kv_head * group);
  for (Index tile = 0; tile < any.blocks(); ++tile) {
    const Index first = tile * kTile, rows = any.length - first < kTile ? any.length - first : kTile;
    const Index offset = any.kv_offset + first * any.kv_stride;
    pack_rows<S>(operand_at<S>(job.k, offset), any.kv_stride, rows, any.head_dim, space.q);
    pack_columns<S>(space.q, any, space.k_columns + tile * units<S>(any.padded) * kTile);
    pack_rows<S>(operand_at<S>(job.v, offset), any.kv_stride, rows, any.head_dim, space.q);
    join_rows<S>(space.q, any.padded, space.v_rows + tile * units<S>(kTile) * any.padded);
  }
  for (Index item = part; item < group * any.blocks(); item += parts) {
    forward_block<S>(job, space, head_view(job, sequence, kv_head * group + item / any.blocks()), item % any.blocks());
  }
}

}  // namespace
}  // namespace longhaul::kernels::LONGHAUL_FAMILY
