#include "kernels/optimizer/optimizer_family.h"

#include "kernels/vectors/lanes.h"

namespace longhaul::kernels::LONGHAUL_FAMILY {
namespace {

template <bool kCopy, bool kAverage>
void adamw_range(const AdamWScalars& s, float* weight, float* moment1, float* moment2, const float* gradient, bf16* copy, float* average,
                 float ema_beta, float ema_one_minus_beta, std::int64_t count) {
  const F32x16 beta1 = splat(s.beta1), rest1 = splat(s.one_minus_beta1), beta2 = splat(s.beta2), rest2 = splat(s.one_minus_beta2);
  const F32x16 bias1 = splat(s.bias1), bias2 = splat(s.bias2), rate = splat(s.learning_rate), decay = splat(s.decay);
  const F32x16 epsilon = splat(s.epsilon), clip = splat(s.clip_scale), keep = splat(ema_beta), take = splat(ema_one_minus_beta);
  for_vectors(0, count, [&](std::int64_t i, auto lanes) {
    const F32x16 g = load_some(gradient + i, lanes) * clip;
    const F32x16 m = fma(rest1, g, beta1 * load_some(moment1 + i, lanes));
    const F32x16 v = fma(rest2 * g, g, beta2 * load_some(moment2 + i, lanes));
    const F32x16 update = (m * bias1) / (sqrt(v * bias2) + epsilon);
    const F32x16 old = load_some(weight + i, lanes);
    const F32x16 w = fnma(rate, update, fnma(decay, old, old));
    store_some(m, moment1 + i, lanes);
    store_some(v, moment2 + i, lanes);
    store_some(w, weight + i, lanes);
    if constexpr (kCopy) store_some(w, copy + i, lanes);
    if constexpr (kAverage) store_some(fma(keep, load_some(average + i, lanes), take * w), average + i, lanes);
  });
}

void adamw(const AdamWScalars& s, float* weight, float* moment1, float* moment2, const float* gradient, bf16* copy, float* average,
           float ema_beta, float ema_one_minus_beta, std::int64_t count) {
  const auto range = copy ? (average ? adamw_range<true, true> : adamw_range<true, false>)
                          : (average ? adamw_range<false, true> : adamw_range<false, false>);
  range(s, weight, moment1, moment2, gradient, copy, average, ema_beta, ema_one_minus_beta, count);
}

double sum_of_squares(const float* x, std::int64_t count) {
  F64x16 sum = F64x16::zero();
  for_vectors(0, count, [&](std::int64_t i, auto lanes) {
    const F64x16 a = widen(load_some(x + i, lanes));
    sum = fma(a, a, sum);
  });
  return reduce_tree(sum);
}

void add_into(float* a, const float* b, std::int64_t count) {
  for_vectors(0, count, [&](std::int64_t i, auto lanes) { store_some(load_some(a + i, lanes) + load_some(b + i, lanes), a + i, lanes); });
}

LeafSquares add_into_squares(float* a, const float* b, std::int64_t count) {
  F64x16 squares_a = F64x16::zero(), squares_b = F64x16::zero();
  for_vectors(0, count, [&](std::int64_t i, auto lanes) {
    const F32x16 x = load_some(a + i, lanes), y = load_some(b + i, lanes);
    const F64x16 wide_x = widen(x), wide_y = widen(y);
    squares_a = fma(wide_x, wide_x, squares_a);
    squares_b = fma(wide_y, wide_y, squares_b);
    store_some(x + y, a + i, lanes);
  });
  return {reduce_tree(squares_a), reduce_tree(squares_b)};
}

double sum_of_squared_differences(const float* x, const float* y, std::int64_t count) {
  F64x16 sum = F64x16::zero();
  for_vectors(0, count, [&](std::int64_t i, auto lanes) {
    const F64x16 a = widen(load_some(x + i, lanes)) - widen(load_some(y + i, lanes));
    sum = fma(a, a, sum);
  });
  return reduce_tree(sum);
}

}  // namespace

extern const OptimizerTable optimizer_table = {adamw, sum_of_squares, add_into, add_into_squares, sum_of_squared_differences};

}  // namespace longhaul::kernels::LONGHAUL_FAMILY
