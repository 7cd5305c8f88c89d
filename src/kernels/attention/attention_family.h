// kernels/attention/attention_family.h — the attention kernels as each instruction set provides them (kernels/family.h).
//
// attention.cpp cuts the work into pieces, one thread each: forward by (sequence, key/value head, share of the query blocks), backward
// by (sequence, key/value head), because dK and dV of a group are one chain over its heads and queries.
#pragma once

#include <cstdint>

#include "kernels/attention/attention.h"
#include "kernels/family.h"

namespace longhaul::kernels {

/// What all pieces of one call share. Unused pointers are null (forward: d_o, dq, dk, dv).
struct AttentionJob {
  AttentionShape shape;
  Order order;
  float scale;  ///< 1/√D
  const void *q, *k, *v;
  const std::int32_t* document_start;
  void* o;  ///< written forward, read backward
  float *row_max, *row_sum;
  const float* d_o;
  float *dq, *dk, *dv;
};

/// One thread's arrays. U(n): units of n operands along a summed index (attention_panel.inc.h; at most n rounded up to even), P: head_dim
/// rounded up to 16. Packed operands are named by their role: rows are the right factor of a sum over tokens, columns of a sum over
/// head_dim.
struct AttentionSpace {
  // Of the key/value head, a panel a tile.
  float* k_columns;  ///< [tiles, U(P), 64]
  float* k_rows;     ///< [tiles, U(64), P]; backward only
  float* v_columns;  ///< [tiles, U(P), 64]; backward only
  float* v_rows;     ///< [tiles, U(64), P]; forward only
  float *d_k, *d_v;  ///< [tiles, P, 64], transposed accumulators; backward only
  // Of a query block.
  float* q;                                            ///< [64, U(P)]
  float* d_o;                                          ///< [64, U(P)]; backward only, like the next two
  float *q_columns, *d_o_columns;                      ///< [P, U(64)]: left factors of dK, dV
  float* joined;                                       ///< [U(64), P]: scratch of the packing
  float* result;                                       ///< [64, P]: accumulator of o or dQ
  float *row_max, *row_sum, *row_factor, *correction;  ///< [64]
  // Of a query block and a tile.
  float *scores, *d_p;  ///< [64, 64] fp32: S, dP
  float *p, *d_s;       ///< forward: P [64, U(64)]; backward: P, dS [U(64), 64] (right factors)
  float* d_s_rows;      ///< [64, U(64)]: dS (left factor); backward only
};

struct AttentionTable {
  /// Query blocks `part`, `part + parts`, … of the heads that share key/value head `kv_head`.
  void (*forward)(const AttentionJob& job, const AttentionSpace& space, std::int64_t sequence, std::int64_t kv_head, std::int64_t part,
                  std::int64_t parts);
  void (*backward)(const AttentionJob& job, const AttentionSpace& space, std::int64_t sequence, std::int64_t kv_head);
};
LONGHAUL_FAMILY_TABLE(AttentionTable, attention_table)

/// The table that attention takes: that of the family, except that dp2 runs without VDPBF16PS where it is the slower way (gemm_family.h).
const AttentionTable& attention_kernel(Family family, Order order);

/// attention_forward() and attention_backward() by a table of one's own choice.
void attention_forward_with(const AttentionTable& table, const Context& context, const AttentionShape& shape, const void* q, const void* k,
                            const void* v, const std::int32_t* document_start, void* o, float* row_max, float* row_sum, void* workspace);
void attention_backward_with(const AttentionTable& table, const Context& context, const AttentionShape& shape, const void* q, const void* k,
                             const void* v, const void* o, const float* d_o, const float* row_max, const float* row_sum,
                             const std::int32_t* document_start, float* dq, float* dk, float* dv, void* workspace);

}  // namespace longhaul::kernels
