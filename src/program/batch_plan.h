// program/batch_plan.h — how the sequences of one optimizer step become micro-batches and gradient leaves.
#pragma once

#include <cstdint>

#include "program/place.h"

namespace longhaul::program {

/// Of the whole batch, whatever the layout: V divides the micro-batches (numerics contract), and a data-parallel rank takes those of the
/// virtual ranks that it hosts.
struct BatchPlan {
  std::int64_t sequences_per_micro_batch = 1;
  std::int64_t sequence_length = 1;
  int micro_batches = 1;
  int virtual_ranks = 1;  ///< V

  std::int64_t tokens_per_micro_batch() const { return sequences_per_micro_batch * sequence_length; }
  int micro_batches_per_leaf() const { return micro_batches / virtual_ranks; }
  /// Virtual ranks of a data-parallel rank, and its micro-batches: the first, in the batch's order, and how many.
  Leaves hosted_by(int dp_index, int dp) const { return hosted(virtual_ranks, dp, dp_index); }
  int first_micro_batch(int dp_index, int dp) const { return hosted_by(dp_index, dp).first * micro_batches_per_leaf(); }
  int micro_batches_of(int dp_index, int dp) const { return hosted_by(dp_index, dp).count * micro_batches_per_leaf(); }
};

}  // namespace longhaul::program
