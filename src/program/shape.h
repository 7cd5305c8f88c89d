// program/shape.h — widths of one rank's part of a layer, and its rows: what the buffers of a program are as matrices.
//
// Rows of a micro-batch on a rank: n where matrices are divided by tensor parallelism (context parallelism divides the tokens), s in the
// residual stream and the norms, n ÷ tp with sequence parallelism (Korthikanti et al. 2022 §4).
#pragma once

#include <cstdint>

namespace longhaul::program {

struct RankShape {
  std::int64_t n = 0, s = 0;
  std::int64_t width = 0, heads = 0, kv_heads = 0, head_dim = 0;
  std::int64_t q = 0, k = 0, v = 0;  ///< of all heads of this rank
  std::int64_t heads_out = 0;        ///< attention's output
  std::int64_t qkv = 0;              ///< what the projection gives
  std::int64_t latent = 0;           ///< what the down projections of latent attention give
  std::int64_t ffn = 0, shared_ffn = 0, vocab = 0;
  std::int64_t expert_rows = 0, expert_ffn = 0, experts = 0;
  double qkv_flops = 0, attention_flops = 0;
};

}  // namespace longhaul::program
