// cost/work.h — what one micro-batch asks of one rank, operation by operation: matrix products by shape, attention, bytes, collectives.
//
// Everything here is counted from (model, layout, micro-batch); nothing is a time. cost/step.h prices the items and plays the program made
// of them. Shapes are those of one rank: column-parallel weights are (K, N/tp), row-parallel (K/tp, N) (accounting C2; Shoeybi et al.
// 2019 §3); with sequence parallelism the tokens of norms and residuals are divided too (Korthikanti et al. 2022 §4).
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "cost/run_shape.h"

namespace longhaul::cost {

enum class WorkKind : std::uint8_t {
  gemm,        ///< m × k times k × n, `batch` of them
  attention,   ///< scores and weighted sum: m queries see n keys each, k is the head's width, batch the heads
  bytes,       ///< memory-bound: `bytes` read and written
  collective,  ///< `bytes` of the whole tensor over the ranks of `group`
};
enum class WorkPass : std::uint8_t { forward, input_gradient, weight_gradient };
enum class CollectiveKind : std::uint8_t { all_reduce, all_gather, reduce_scatter, all_to_all };
enum class Group : std::uint8_t { tensor, context, expert };
/// What a memory-bound item is: frameworks fuse each sort in their own way, so each has a price of its own.
enum class BytesKind : std::uint8_t { elementwise, softmax, logits, accumulation, table };

struct WorkItem {
  WorkKind kind{};
  WorkPass pass{};
  std::string_view name;  ///< the last part of an operation id: "qkv", "attn.softmax", "mlp.all_reduce"
  double m = 0, n = 0, k = 0, batch = 1;
  double bytes = 0;
  BytesKind sort{};
  CollectiveKind collective{};
  Group group{};
  double flops() const { return (kind == WorkKind::attention ? 4 : 2) * m * n * k * batch; }
};

/// One layer, one micro-batch, all passes; what a recomputed layer runs again is the pricing's business.
/// @param experts the layer has a mixture of experts instead of the dense MLP
std::vector<WorkItem> layer_work(const RunShape& run, bool experts = false);
/// The token embedding of the first stage; final norm, head and loss of the last.
std::vector<WorkItem> embedding_work(const RunShape& run);
std::vector<WorkItem> head_work(const RunShape& run);

/// Hidden units of the MLP that a token passes through, on all ranks together: with `experts` those of its top_k and of the shared ones.
double mlp_width(const model::ModelSpec& model, bool experts);
/// Share of the layers that have a mixture of experts; where time, memory and traffic count a mean layer.
double sparse_share(const model::ModelSpec& model);

/// Tokens of a micro-batch on one context-parallel rank.
double tokens(const RunShape& run);

/// Whether plain attention's scale, mask and softmax run as one kernel; true for flash attention.
bool fused_softmax(const RunShape& run);

/// Vocabulary rows as frameworks pad them: to a multiple of 128 · tp under Megatron with tp > 1 (its --make-vocab-size-divisible-by).
std::int64_t padded_vocab(const RunShape& run);

}  // namespace longhaul::cost
