// kernels/attention/attention_backward.inc.h — P is computed again from the statistics, tile by tile; dQ, dK, dV in one pass (Dao et al.
// 2022, alg. 4, with query blocks outer: then the chain of dK, dV over queries and the chain of dQ over keys both rise). Included by
// attention_family.cpp only.
//
// dK and dV are accumulated transposed, [head_dim, keys]: P and dS are then right factors as they leave the scores, and nothing is
// transposed per tile.
#pragma once

namespace longhaul::kernels::LONGHAUL_FAMILY {
namespace {

// Rows r, r+1 of P or dS, 16 keys: as the right factor of a sum over queries, and (rows != null) as the left factor of a sum over keys.
template <Style S>
LONGHAUL_INLINE void store_pair(F32x16 even, F32x16 odd, Index r, Index vector, float* joined, [[maybe_unused]] float* rows) {
#ifdef __AVX512BF16__
  if constexpr (S == Style::native) {
    const __m512i both = (__m512i)_mm512_cvtne2ps_pbh(odd.v, even.v);  // even row in the lower half
    const __m512i interleave = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4,
                                                19, 3, 18, 2, 17, 1, 16, 0);
    _mm512_storeu_si512(joined + r / 2 * kTile + 16 * vector, _mm512_permutexvar_epi16(interleave, both));
    if (rows == nullptr) return;
    float* row = rows + r * units<S>(kTile) + 8 * vector;
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(row), _mm512_castsi512_si256(both));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(row + units<S>(kTile)), _mm512_extracti64x4_epi64(both, 1));
    return;
  }
#endif
  to_operand<S>(even).store(joined + r * kTile + 16 * vector);
  to_operand<S>(odd).store(joined + (r + 1) * kTile + 16 * vector);  // a unit is one query: the same array serves as the left factor
}

template <Style S, bool Masked>
void score_gradients(const AttentionJob& job, const AttentionSpace& space, const QueryBlock& block, Index tile, Index row,
                     GroupView group) {
  const Index first = Masked ? group.first : 0, last = Masked ? group.last : kTile / 16;
  const F32x16 scale = splat(job.scale);
  for (Index r = row; r < row + group.rows; r += 2) {
    for (Index n = first; n < last; ++n) {
      F32x16 p[2], d_s[2];
#pragma GCC unroll 2
      for (Index e = 0; e < 2; ++e) {
        const Index at = (r + e) * kTile + 16 * n;
        const F32x16 s = F32x16::load(space.scores + at) * scale;
        p[e] = exp(s - splat(space.row_max[r + e])) * splat(space.row_factor[r + e]);
        d_s[e] = p[e] * (F32x16::load(space.d_p + at) - splat(space.correction[r + e]));
        if constexpr (Masked) {
          const Mask16 mask = visible(key_range(block, tile, r + e), n);
          p[e] = select(mask, p[e], F32x16::zero());
          d_s[e] = select(mask, d_s[e], F32x16::zero());
        }
      }
      store_pair<S>(p[0], p[1], r, n, space.p, nullptr);
      store_pair<S>(d_s[0], d_s[1], r, n, space.d_s, space.d_s_rows);
    }
    for (Index n = 0; Masked && n < kTile / 16; ++n) {  // dK and dV sum over all rows of the block, whatever they see
      if (n >= first && n < last) continue;
      store_pair<S>(F32x16::zero(), F32x16::zero(), r, n, space.p, nullptr);
      store_pair<S>(F32x16::zero(), F32x16::zero(), r, n, space.d_s, nullptr);
    }
  }
}

template <Style S>
void backward_tile(const AttentionJob& job, const AttentionSpace& space, const HeadView& head, const QueryBlock& block, Index tile) {
  const Index columns = tile * units<S>(head.padded) * kTile, transposed = tile * head.padded * kTile;
  multiply_scores<S>(block, tile, head, space.q, space.k_columns + columns, space.scores);
  multiply_scores<S>(block, tile, head, space.d_o, space.v_columns + columns, space.d_p);
  for (Index r = 0; r < block.rows_even; r += kGroup) {
    const GroupView group = group_view(block, tile, r);
    if (group.masked)
      score_gradients<S, true>(job, space, block, tile, r, group);
    else
      score_gradients<S, false>(job, space, block, tile, r, group);
  }
  const float* d_s_rows = S == Style::native ? space.d_s_rows : space.d_s;
  multiply_keys<S>(block, tile, head, d_s_rows, space.k_rows + tile * units<S>(kTile) * head.padded, space.result);
  const Index rows = round_up(head.head_dim, 2), stride = units<S>(kTile), depth = units<S>(block.rows_even);
  multiply<S>({space.d_o_columns, stride, space.p, kTile, space.d_v + transposed, kTile}, rows, kTile / 16, depth, true);
  multiply<S>({space.q_columns, stride, space.d_s, kTile, space.d_k + transposed, kTile}, rows, kTile / 16, depth, true);
}

// D_t = Σ dO·o in 16 lanes and the tree, from dO as rounded: then Σ_j dS_tj cancels as in the mathematics.
template <Style S>
void row_statistics(const AttentionJob& job, const AttentionSpace& space, const HeadView& head, const QueryBlock& block) {
  for (Index r = 0; r < kTile; ++r) {
    const bool real = r < block.rows;
    const Index t = head.statistics + block.first + r;
    space.row_max[r] = real ? job.row_max[t] : 0.0f;
    space.row_factor[r] = real ? 1.0f / job.row_sum[t] : 0.0f;
    F32x16 lanes = F32x16::zero();
    for (Index d = 0; real && d < head.head_dim; d += 16) {
      const int n = head.head_dim - d < 16 ? static_cast<int>(head.head_dim - d) : 16;
      const void* at = operand_at<S>(job.o, head.q_offset + (block.first + r) * head.q_stride + d);
      const float* gradient = space.d_o + r * units<S>(head.padded);
      F32x16 x, y;
      if constexpr (S == Style::native)
        x = F32x16::load(reinterpret_cast<const bf16*>(gradient) + d);
      else
        x = F32x16::load(gradient + d);
      if constexpr (S == Style::fma)
        y = F32x16::load_partial(static_cast<const float*>(at), n);
      else
        y = n == 16 ? F32x16::load(static_cast<const bf16*>(at)) : F32x16::load_partial(static_cast<const bf16*>(at), n);
      lanes = fma(x, y, lanes);
    }
    space.correction[r] = reduce_tree(lanes);
  }
}

template <Style S>
void backward_block(const AttentionJob& job, const AttentionSpace& space, const HeadView& head, Index index) {
  const QueryBlock block = query_block(head, index);
  const Index q_offset = head.q_offset + block.first * head.q_stride;
  pack_rows<S>(operand_at<S>(job.q, q_offset), head.q_stride, block.rows, head.head_dim, space.q);
  join_rows<S>(space.q, head.padded, space.joined);
  transpose(space.joined, head.padded, units<S>(kTile), head.padded, space.q_columns, units<S>(kTile));
  pack_rounded<S>(job.d_o + q_offset, head.q_stride, block.rows, head.head_dim, space.d_o);
  join_rows<S>(space.d_o, head.padded, space.joined);
  transpose(space.joined, head.padded, units<S>(kTile), head.padded, space.d_o_columns, units<S>(kTile));
  row_statistics<S>(job, space, head, block);
  fill(space.result, kTile * head.padded, 0.0f);
  for (Index tile = block.first_tile; tile <= block.last_tile; ++tile) backward_tile<S>(job, space, head, block, tile);
  const F32x16 scale = splat(job.scale);
  store_rows(space.result, head.padded, block.rows, head.head_dim, job.dq + q_offset, head.q_stride,
             [&](F32x16 x, Index) { return fma(x, scale, F32x16::zero()); });
}

template <Style S>
void backward_piece(const AttentionJob& job, const AttentionSpace& space, Index sequence, Index kv_head) {
  const Index group = job.shape.heads / job.shape.kv_heads;
  const HeadView any = head_view(job, sequence, kv_head * group);
  const Index tiles = any.blocks(), columns = units<S>(any.padded) * kTile, rows = units<S>(kTile) * any.padded;
  const auto tile_rows = [&](Index tile) { return any.length - tile * kTile < kTile ? any.length - tile * kTile : kTile; };
  for (Index tile = 0; tile < tiles; ++tile) {
    const Index offset = any.kv_offset + tile * kTile * any.kv_stride;
    pack_rows<S>(operand_at<S>(job.k, offset), any.kv_stride, tile_rows(tile), any.head_dim, space.q);
    pack_columns<S>(space.q, any, space.k_columns + tile * columns);
    join_rows<S>(space.q, any.padded, space.k_rows + tile * rows);
    pack_rows<S>(operand_at<S>(job.v, offset), any.kv_stride, tile_rows(tile), any.head_dim, space.q);
    pack_columns<S>(space.q, any, space.v_columns + tile * columns);
  }
  fill(space.d_k, tiles * any.padded * kTile, 0.0f);
  fill(space.d_v, tiles * any.padded * kTile, 0.0f);
  for (Index h = 0; h < group; ++h) {  // heads outer, queries rising: the contract's chain
    const HeadView head = head_view(job, sequence, kv_head * group + h);
    for (Index block = 0; block < tiles; ++block) backward_block<S>(job, space, head, block);
  }
  const F32x16 scale = splat(job.scale);
  for (Index tile = 0; tile < tiles; ++tile) {
    const Index offset = any.kv_offset + tile * kTile * any.kv_stride;
    transpose(space.d_k + tile * any.padded * kTile, kTile, any.padded, kTile, space.result, any.padded);
    store_rows(space.result, any.padded, tile_rows(tile), any.head_dim, job.dk + offset, any.kv_stride,
               [&](F32x16 x, Index) { return fma(x, scale, F32x16::zero()); });
    transpose(space.d_v + tile * any.padded * kTile, kTile, any.padded, kTile, space.result, any.padded);
    store_rows(space.result, any.padded, tile_rows(tile), any.head_dim, job.dv + offset, any.kv_stride,
               [&](F32x16 x, Index) { return x + F32x16::zero(); });
  }
}

}  // namespace
}  // namespace longhaul::kernels::LONGHAUL_FAMILY
