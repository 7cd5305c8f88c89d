// kernels/attention/attention_block.inc.h — what forward and backward share: where heads lie in memory, which keys a row of a block sees,
// products that leave out what lies above the diagonal. Included by attention_family.cpp only.
#pragma once

namespace longhaul::kernels::LONGHAUL_FAMILY {
namespace {

constexpr Index kGroup = 16;  // rows that are masked and reduced together: one vector of statistics

template <Style S>
const void* operand_at(const void* data, Index element) {
  return static_cast<const char*>(data) + element * (S == Style::fma ? 4 : 2);
}

// One head of one sequence; offsets in elements of its first token.
struct HeadView {
  Index length, head_dim, padded;  // padded: head_dim rounded up to 16
  Index q_stride, kv_stride, q_offset, kv_offset;
  Index statistics;  // offset of row_max, row_sum
  const std::int32_t* document_start;
  Index blocks() const { return (length + kTile - 1) / kTile; }
};

HeadView head_view(const AttentionJob& job, Index sequence, Index head) {
  const AttentionShape& s = job.shape;
  const Index first = sequence * s.sequence_length, q_stride = s.heads * s.head_dim, kv_stride = s.kv_heads * s.head_dim;
  return {s.sequence_length,
          s.head_dim,
          round_up(s.head_dim, 16),
          q_stride,
          kv_stride,
          first * q_stride + head * s.head_dim,
          first * kv_stride + head / (s.heads / s.kv_heads) * s.head_dim,
          (sequence * s.heads + head) * s.sequence_length,
          job.document_start + first};
}

// 64 queries against the tiles they see. Rows behind the sequence (there to make the count even) see nothing but the diagonal tile.
struct QueryBlock {
  Index first;            // token of row 0
  Index rows, rows_even;  // of the sequence; multiplied
  Index first_tile, last_tile;
  std::int32_t start[kTile];  // first key of each row
};

QueryBlock query_block(const HeadView& head, Index block) {
  QueryBlock out;
  out.first = block * kTile;
  out.rows = head.length - out.first < kTile ? head.length - out.first : kTile;
  out.rows_even = round_up(out.rows, 2);
  out.last_tile = block;
  out.first_tile = block;
  for (Index r = 0; r < kTile; ++r) {
    out.start[r] = static_cast<std::int32_t>(r < out.rows ? head.document_start[out.first + r] : out.first);
    if (out.start[r] / kTile < out.first_tile) out.first_tile = out.start[r] / kTile;
  }
  return out;
}

// Which keys of a tile a row sees: [low, high).
struct KeyRange {
  std::int32_t low, high;
};
LONGHAUL_INLINE KeyRange key_range(const QueryBlock& block, Index tile, Index row) {
  const Index high = block.first + row + 1 - tile * kTile;
  return {static_cast<std::int32_t>(block.start[row] - tile * kTile), static_cast<std::int32_t>(high < kTile ? high : kTile)};
}
LONGHAUL_INLINE Mask16 visible(KeyRange range, Index vector) {
  const I32x16 key = I32x16::iota() + I32x16::splat(static_cast<std::int32_t>(16 * vector));
  return (key > I32x16::splat(range.low - 1)) & (I32x16::splat(range.high) > key);
}

// A group of rows against a tile: the vectors of keys [first, last) that some of its rows see, and whether keys among them are masked.
struct GroupView {
  Index rows, first, last;
  bool masked;
  bool empty() const { return first >= last; }
};
GroupView group_view(const QueryBlock& block, Index tile, Index row) {
  const Index rows = block.rows_even - row < kGroup ? block.rows_even - row : kGroup;
  const bool diagonal = tile == block.last_tile;
  bool masked = diagonal;
  Index low = kTile;
  for (Index r = row; r < row + rows; ++r) {
    const Index start = block.start[r] - tile * kTile;
    masked |= start > 0;
    if (start < low) low = start;
  }
  return {rows, low < 0 ? 0 : low / 16, diagonal ? row / kGroup + 1 : kTile / 16, masked};
}
bool any_masked(const QueryBlock& block, Index tile) {
  bool masked = false;
  for (Index r = 0; r < block.rows_even; r += kGroup) masked |= group_view(block, tile, r).masked;
  return masked;
}

// C[64, 64] = A·B over head_dim: scores of a block and a tile, where masks fall only those of vectors that some row of a group sees.
template <Style S>
void multiply_scores(const QueryBlock& block, Index tile, const HeadView& head, const float* a, const float* b, float* c) {
  const Index a_stride = units<S>(head.padded), depth = units<S>(head.head_dim);
  if (!any_masked(block, tile)) return multiply<S>({a, a_stride, b, kTile, c, kTile}, block.rows_even, kTile / 16, depth, false);
  for (Index r = 0; r < block.rows_even; r += kGroup) {
    const GroupView g = group_view(block, tile, r);
    multiply<S>({a + r * a_stride, a_stride, b + 16 * g.first, kTile, c + r * kTile + 16 * g.first, kTile}, g.rows, g.last - g.first, depth,
                false);
  }
}

// C[64, P] += A·B over the keys of a tile, likewise.
template <Style S>
void multiply_keys(const QueryBlock& block, Index tile, const HeadView& head, const float* a, const float* b, float* c) {
  const Index a_stride = units<S>(kTile), vectors = head.padded / 16;
  if (!any_masked(block, tile)) {
    return multiply<S>({a, a_stride, b, head.padded, c, head.padded}, block.rows_even, vectors, a_stride, true);
  }
  for (Index r = 0; r < block.rows_even; r += kGroup) {
    const GroupView g = group_view(block, tile, r);
    if (g.empty()) continue;
    const Index first = units<S>(16 * g.first), depth = units<S>(16 * g.last) - first;
    multiply<S>({a + r * a_stride + first, a_stride, b + first * head.padded, head.padded, c + r * head.padded, head.padded}, g.rows,
                vectors, depth, true);
  }
}

// 64 rows of K or V as the right factor of sums over head_dim; `scratch` as AttentionSpace::q.
template <Style S>
void pack_columns(const float* rows, const HeadView& head, float* out) {
  transpose(rows, units<S>(head.padded), kTile, units<S>(head.padded), out, kTile);
}

LONGHAUL_INLINE void fill(float* x, Index count, float value) {
  for (Index i = 0; i < count; i += 16) splat(value).store(x + i);
}

// out[row, 0..width) = f(x[row, 0..padded)) in vectors of 16.
template <typename Out, typename F>
LONGHAUL_INLINE void store_rows(const float* x, Index padded, Index rows, Index width, Out* out, Index out_stride, F f) {
  for (Index r = 0; r < rows; ++r) {
    for (Index d = 0; d < width; d += 16) {
      const F32x16 y = f(F32x16::load(x + r * padded + d), r);
      if (width - d >= 16)
        y.store(out + r * out_stride + d);
      else
        y.store_partial(out + r * out_stride + d, static_cast<int>(width - d));
    }
  }
}

}  // namespace
}  // namespace longhaul::kernels::LONGHAUL_FAMILY
