// kernels/loss/loss_family.h — softmax and cross-entropy of one row of logits, as each instruction set provides it (kernels/family.h).
#pragma once

#include <cstdint>

#include "kernels/family.h"

namespace longhaul::kernels {

/// Entries of a vocabulary tile: the reductions of a row restart there (numerics contract).
constexpr std::int64_t kVocabularyTile = 8192;

/// Of one row: largest logit, Σ exp(logit − max), and the loss of its target.
struct LossRow {
  float max, sum, loss;
};

struct LossTable {
  LossRow (*forward)(const float* logits, std::int64_t vocab, std::int64_t target);
  /// Overwrites the row in place: `vocab` gradients in operand type from the row's first byte.
  void (*backward)(float* logits, std::int64_t vocab, std::int64_t target, const LossRow& row, float scale, ElementType type);
};
LONGHAUL_FAMILY_TABLE(LossTable, loss_table)

}  // namespace longhaul::kernels
