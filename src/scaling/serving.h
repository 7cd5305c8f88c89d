// scaling/serving.h — the best size of a model that is trained once and then serves tokens (accounting D7).
//
// Lifetime cost = 6·N·D of training + 2·N·T of serving T tokens, prompts and answers alike (Sardana et al. 2024, arXiv:2401.00448, eq. 3:
// without caches, batching or quantisation, which the weight stands for). Least lifetime cost at the loss of a training budget's optimum,
// or least loss within a lifetime budget. Serving never asks for a larger model, so the optimum is smaller and trained longer.
#pragma once

#include "scaling/law.h"

namespace longhaul::scaling {

struct Serving {
  double tokens = 0;  ///< T, over the model's life
  /// What a FLOP of serving costs in FLOPs of training: 1 in compute; in money (price ÷ utilisation) of serving over that of training.
  double weight = 1;
};

struct ServedOptimum {
  Allocation at;
  double loss = 0;
  double serving = 0;  ///< weight·2·N·T, in FLOPs of training
  double total() const { return at.flops() + serving; }
};

/// What a model of these N and D costs over its life, in FLOPs of training.
double lifetime_flops(const Allocation& at, const Serving& serving);
/// The cheapest N and D of the loss that `training_flops` reach at their optimum. To 1e-9 of log N.
ServedOptimum cheapest_of_equal_loss(const Surface& surface, double training_flops, const Serving& serving);
/// The N and D of least loss whose lifetime costs `lifetime` FLOPs.
/// @throws UsageError when serving alone takes that much for a model of one parameter
ServedOptimum best_within(const Surface& surface, double lifetime, const Serving& serving);

}  // namespace longhaul::scaling
