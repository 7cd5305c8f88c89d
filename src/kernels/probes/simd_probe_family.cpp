#include "kernels/probes/simd_probe.h"
#include "kernels/vectors/simd.h"

namespace longhaul::kernels::LONGHAUL_FAMILY {
namespace {

void arithmetic(const float* pa, const float* pb, const float* pc, float* out) {
  const F32x16 a = F32x16::load(pa), b = F32x16::load(pb), c = F32x16::load(pc);
  const F32x16 results[14] = {a + b,     a - b,    a * b,    a / b,          fma(a, b, c), fnma(a, b, c),      sqrt(abs(a)), min(a, b),
                              max(a, b), round(a), floor(a), copysign(a, b), -a,           select(a < b, a, c)};
  for (int i = 0; i < 14; ++i) results[i].store(out + 16 * i);
}

void comparisons(const float* pa, const float* pb, std::int32_t* out) {
  const F32x16 a = F32x16::load(pa), b = F32x16::load(pb);
  const Mask16 results[6] = {a<b, a <= b, a> b, a >= b, a == b, (is_nan(a) | (a < b)) & ~(b < a)};
  for (int i = 0; i < 6; ++i) select(results[i], I32x16::splat(1), I32x16::zero()).store(out + 16 * i);
}

void integers(const std::int32_t* pa, const std::int32_t* pb, std::int32_t* out) {
  const I32x16 a = I32x16::load(pa), b = I32x16::load(pb);
  const I32x16 results[9] = {a + b, a - b, a * b, a & b, a | b, a ^ b, shift_left<3>(a), shift_right<3>(a), shift_right_signed<3>(a)};
  for (int i = 0; i < 9; ++i) results[i].store(out + 16 * i);
}

void doubles(const double* pa, const double* pb, const double* pc, double* out) {
  const F64x8 a = F64x8::load(pa), b = F64x8::load(pb), c = F64x8::load(pc);
  const F64x8 results[8] = {a + b, a - b, a * b, a / b, fma(a, b, c), sqrt(abs(a)), round(a), select(a < b, -a, c)};
  for (int i = 0; i < 8; ++i) results[i].store(out + 8 * i);
}

void round_bf16_probe(const float* a, bf16* out, int n) {
  const F32x16 x = F32x16::load(a);
  if (n == 16)
    x.store(out);
  else
    x.store_partial(out, n);
}
void widen_bf16_probe(const bf16* a, float* out, int n) { (n == 16 ? F32x16::load(a) : F32x16::load_partial(a, n)).store(out); }
void copy_partial(const float* a, float* out, int n) { F32x16::load_partial(a, n).store_partial(out, n); }
float tree(const float* a) { return reduce_tree(F32x16::load(a)); }
float largest(const float* a) { return reduce_max(F32x16::load(a)); }
double tree_double(const float* a) {
  const F64x16 x = widen(F32x16::load(a));
  return reduce_tree(fma(x, x, F64x16::zero()));
}
void narrow_probe(const double* a, float* out) { narrow(F64x16{F64x8::load(a), F64x8::load(a + 8)}).store(out); }

}  // namespace

extern const SimdProbe simd_probe = {arithmetic,   comparisons, integers, doubles,     round_bf16_probe, widen_bf16_probe,
                                     copy_partial, tree,        largest,  tree_double, narrow_probe};

}  // namespace longhaul::kernels::LONGHAUL_FAMILY
