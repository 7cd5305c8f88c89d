#include "kernels/loss/loss_family.h"

#include "kernels/elementary/elementary.h"

namespace longhaul::kernels::LONGHAUL_FAMILY {
namespace {

using Index = std::int64_t;

struct Partial {
  float max, sum;
};

LONGHAUL_INLINE float exp1(float x) {
  float lanes[16];
  exp(splat(x)).store(lanes);
  return lanes[0];
}

// Sixteen logits, or the last n of a row; the rest takes part in no maximum and adds nothing.
LONGHAUL_INLINE F32x16 load_logits(const float* x, Index left) {
  constexpr float kMinusInfinity = -__builtin_inff();
  if (left >= 16) return F32x16::load(x);
  const int n = static_cast<int>(left);
  return select(Mask16::first(n), F32x16::load_partial(x, n), splat(kMinusInfinity));
}

Partial tile_partial(const float* x, Index count) {
  F32x16 largest = load_logits(x, count);
  for (Index i = 16; i < count; i += 16) largest = max(largest, load_logits(x + i, count - i));
  const float tile_max = reduce_max(largest) + 0.0f;  // −0 becomes +0: a maximum does not say which of the two it is
  const F32x16 m = splat(tile_max);
  F32x16 lanes = F32x16::zero();
  for (Index i = 0; i < count; i += 16) lanes = lanes + exp(load_logits(x + i, count - i) - m);
  return {tile_max, reduce_tree(lanes)};
}

Partial merge(Partial a, Partial b) {
  const float m = a.max < b.max ? b.max : a.max;
  return {m, __builtin_fmaf(a.sum, exp1(a.max - m), b.sum * exp1(b.max - m))};
}

LossRow forward(const float* logits, Index vocab, Index target) {
  Partial row = tile_partial(logits, vocab < kVocabularyTile ? vocab : kVocabularyTile);
  for (Index tile = kVocabularyTile; tile < vocab; tile += kVocabularyTile) {
    row = merge(row, tile_partial(logits + tile, vocab - tile < kVocabularyTile ? vocab - tile : kVocabularyTile));
  }
  float logarithm[16];
  log(splat(row.sum)).store(logarithm);
  return {row.max, row.sum, (row.max - logits[target]) + logarithm[0]};
}

// Gradients are never longer than the logits they replace, so writing stays behind reading.
template <typename Out>
void gradients(float* logits, Index vocab, Index target, const LossRow& row, float scale) {
  Out* out = reinterpret_cast<Out*>(logits);
  const float factor = scale / row.sum;
  const float at_target = __builtin_fmaf(exp1(logits[target] - row.max), factor, -scale);
  const F32x16 m = splat(row.max), f = splat(factor);
  Index i = 0;
  for (; i + 16 <= vocab; i += 16) (exp(F32x16::load(logits + i) - m) * f).store(out + i);
  if (i < vocab) {
    const int n = static_cast<int>(vocab - i);
    (exp(F32x16::load_partial(logits + i, n) - m) * f).store_partial(out + i, n);
  }
  splat(at_target).store_partial(out + target, 1);
}

void backward(float* logits, Index vocab, Index target, const LossRow& row, float scale, ElementType type) {
  if (type == ElementType::f32)
    gradients<float>(logits, vocab, target, row, scale);
  else
    gradients<bf16>(logits, vocab, target, row, scale);
}

}  // namespace

extern const LossTable loss_table = {forward, backward};

}  // namespace longhaul::kernels::LONGHAUL_FAMILY
