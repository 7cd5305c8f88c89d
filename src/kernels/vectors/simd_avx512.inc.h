// kernels/vectors/simd_avx512.inc.h — the vectors of kernels/vectors/simd.h in one 512-bit register. Included by simd.h only.
#pragma once

namespace longhaul::kernels::LONGHAUL_FAMILY {
namespace {

struct Mask16 {
  __mmask16 v;
  static LONGHAUL_INLINE Mask16 first(int n) { return {static_cast<__mmask16>(n >= 16 ? 0xffffu : (1u << n) - 1u)}; }
};
LONGHAUL_INLINE Mask16 operator&(Mask16 a, Mask16 b) { return {_kand_mask16(a.v, b.v)}; }
LONGHAUL_INLINE Mask16 operator|(Mask16 a, Mask16 b) { return {_kor_mask16(a.v, b.v)}; }
LONGHAUL_INLINE Mask16 operator~(Mask16 a) { return {_knot_mask16(a.v)}; }
LONGHAUL_INLINE bool any(Mask16 a) { return a.v != 0; }
LONGHAUL_INLINE bool all(Mask16 a) { return a.v == 0xffffu; }

struct I32x16 {
  __m512i v;
  static LONGHAUL_INLINE I32x16 splat(std::int32_t x) { return {_mm512_set1_epi32(x)}; }
  static LONGHAUL_INLINE I32x16 zero() { return {_mm512_setzero_si512()}; }
  static LONGHAUL_INLINE I32x16 iota() { return {_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)}; }
  static LONGHAUL_INLINE I32x16 load(const std::int32_t* p) { return {_mm512_loadu_si512(p)}; }
  static LONGHAUL_INLINE I32x16 load_partial(const std::int32_t* p, int n) { return {_mm512_maskz_loadu_epi32(Mask16::first(n).v, p)}; }
  LONGHAUL_INLINE void store(std::int32_t* p) const { _mm512_storeu_si512(p, v); }
};
LONGHAUL_INLINE I32x16 operator+(I32x16 a, I32x16 b) { return {_mm512_add_epi32(a.v, b.v)}; }
LONGHAUL_INLINE I32x16 operator-(I32x16 a, I32x16 b) { return {_mm512_sub_epi32(a.v, b.v)}; }
LONGHAUL_INLINE I32x16 operator*(I32x16 a, I32x16 b) { return {_mm512_mullo_epi32(a.v, b.v)}; }
LONGHAUL_INLINE I32x16 operator&(I32x16 a, I32x16 b) { return {_mm512_and_si512(a.v, b.v)}; }
LONGHAUL_INLINE I32x16 operator|(I32x16 a, I32x16 b) { return {_mm512_or_si512(a.v, b.v)}; }
LONGHAUL_INLINE I32x16 operator^(I32x16 a, I32x16 b) { return {_mm512_xor_si512(a.v, b.v)}; }
template <int N>
LONGHAUL_INLINE I32x16 shift_left(I32x16 a) {
  return {_mm512_slli_epi32(a.v, N)};
}
/// Logical: zeros come in.
template <int N>
LONGHAUL_INLINE I32x16 shift_right(I32x16 a) {
  return {_mm512_srli_epi32(a.v, N)};
}
template <int N>
LONGHAUL_INLINE I32x16 shift_right_signed(I32x16 a) {
  return {_mm512_srai_epi32(a.v, N)};
}
LONGHAUL_INLINE Mask16 operator==(I32x16 a, I32x16 b) { return {_mm512_cmpeq_epi32_mask(a.v, b.v)}; }
LONGHAUL_INLINE Mask16 operator>(I32x16 a, I32x16 b) { return {_mm512_cmpgt_epi32_mask(a.v, b.v)}; }
LONGHAUL_INLINE Mask16 operator<(I32x16 a, I32x16 b) { return b > a; }
LONGHAUL_INLINE I32x16 select(Mask16 m, I32x16 a, I32x16 b) { return {_mm512_mask_blend_epi32(m.v, b.v, a.v)}; }
LONGHAUL_INLINE I32x16 min(I32x16 a, I32x16 b) { return {_mm512_min_epi32(a.v, b.v)}; }
LONGHAUL_INLINE I32x16 max(I32x16 a, I32x16 b) { return {_mm512_max_epi32(a.v, b.v)}; }

LONGHAUL_INLINE __m512i widen_bf16(__m256i half) { return _mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16); }
/// fp32 to bf16, to nearest even, in integers; a NaN keeps its upper bits and becomes quiet.
LONGHAUL_INLINE __m256i round_bf16(__m512 x) {
  const __m512i u = _mm512_castps_si512(x);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(1));
  const __m512i rounded = _mm512_srli_epi32(_mm512_add_epi32(u, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff))), 16);
  const __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
  const __m512i quiet = _mm512_or_si512(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(0x40));
  return _mm512_cvtepi32_epi16(_mm512_mask_blend_epi32(nan, rounded, quiet));
}

struct F32x16 {
  __m512 v;
  static LONGHAUL_INLINE F32x16 zero() { return {_mm512_setzero_ps()}; }
  static LONGHAUL_INLINE F32x16 splat(float x) { return {_mm512_set1_ps(x)}; }
  static LONGHAUL_INLINE F32x16 load(const float* p) { return {_mm512_loadu_ps(p)}; }
  static LONGHAUL_INLINE F32x16 load_partial(const float* p, int n) { return {_mm512_maskz_loadu_ps(Mask16::first(n).v, p)}; }
  static LONGHAUL_INLINE F32x16 load(const bf16* p) {
    return {_mm512_castsi512_ps(widen_bf16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))))};
  }
  static LONGHAUL_INLINE F32x16 load_partial(const bf16* p, int n) {
    return {_mm512_castsi512_ps(widen_bf16(_mm256_maskz_loadu_epi16(Mask16::first(n).v, p)))};
  }
  LONGHAUL_INLINE void store(float* p) const { _mm512_storeu_ps(p, v); }
  LONGHAUL_INLINE void store_partial(float* p, int n) const { _mm512_mask_storeu_ps(p, Mask16::first(n).v, v); }
  LONGHAUL_INLINE void store(bf16* p) const { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), round_bf16(v)); }
  LONGHAUL_INLINE void store_partial(bf16* p, int n) const { _mm256_mask_storeu_epi16(p, Mask16::first(n).v, round_bf16(v)); }
};
LONGHAUL_INLINE F32x16 operator+(F32x16 a, F32x16 b) { return {_mm512_add_ps(a.v, b.v)}; }
LONGHAUL_INLINE F32x16 operator-(F32x16 a, F32x16 b) { return {_mm512_sub_ps(a.v, b.v)}; }
LONGHAUL_INLINE F32x16 operator*(F32x16 a, F32x16 b) { return {_mm512_mul_ps(a.v, b.v)}; }
LONGHAUL_INLINE F32x16 operator/(F32x16 a, F32x16 b) { return {_mm512_div_ps(a.v, b.v)}; }
LONGHAUL_INLINE F32x16 fma(F32x16 a, F32x16 b, F32x16 c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
LONGHAUL_INLINE F32x16 fnma(F32x16 a, F32x16 b, F32x16 c) { return {_mm512_fnmadd_ps(a.v, b.v, c.v)}; }
LONGHAUL_INLINE F32x16 sqrt(F32x16 a) { return {_mm512_sqrt_ps(a.v)}; }
LONGHAUL_INLINE F32x16 min(F32x16 a, F32x16 b) { return {_mm512_min_ps(a.v, b.v)}; }
LONGHAUL_INLINE F32x16 max(F32x16 a, F32x16 b) { return {_mm512_max_ps(a.v, b.v)}; }
/// To the nearest integer, ties to even.
LONGHAUL_INLINE F32x16 round(F32x16 a) { return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
LONGHAUL_INLINE F32x16 floor(F32x16 a) { return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC)}; }
LONGHAUL_INLINE I32x16 round_to_int(F32x16 a) { return {_mm512_cvt_roundps_epi32(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
LONGHAUL_INLINE F32x16 to_float(I32x16 a) { return {_mm512_cvtepi32_ps(a.v)}; }
LONGHAUL_INLINE F32x16 as_float(I32x16 a) { return {_mm512_castsi512_ps(a.v)}; }
LONGHAUL_INLINE I32x16 as_int(F32x16 a) { return {_mm512_castps_si512(a.v)}; }
LONGHAUL_INLINE Mask16 operator<(F32x16 a, F32x16 b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ)}; }
LONGHAUL_INLINE Mask16 operator<=(F32x16 a, F32x16 b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LE_OQ)}; }
LONGHAUL_INLINE Mask16 operator>(F32x16 a, F32x16 b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_GT_OQ)}; }
LONGHAUL_INLINE Mask16 operator>=(F32x16 a, F32x16 b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_GE_OQ)}; }
LONGHAUL_INLINE Mask16 operator==(F32x16 a, F32x16 b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_EQ_OQ)}; }
LONGHAUL_INLINE Mask16 is_nan(F32x16 a) { return {_mm512_cmp_ps_mask(a.v, a.v, _CMP_UNORD_Q)}; }
LONGHAUL_INLINE F32x16 select(Mask16 m, F32x16 a, F32x16 b) { return {_mm512_mask_blend_ps(m.v, b.v, a.v)}; }

/// The fixed tree over 16 lanes: ((0+1)+(2+3))+… ; a butterfly, since addition commutes.
LONGHAUL_INLINE float reduce_tree(F32x16 a) {
  __m512 x = _mm512_add_ps(a.v, _mm512_permute_ps(a.v, 0xb1));
  x = _mm512_add_ps(x, _mm512_permute_ps(x, 0x4e));
  x = _mm512_add_ps(x, _mm512_shuffle_f32x4(x, x, 0xb1));
  x = _mm512_add_ps(x, _mm512_shuffle_f32x4(x, x, 0x4e));
  return _mm512_cvtss_f32(x);
}
/// Largest lane (no NaN among them).
LONGHAUL_INLINE float reduce_max(F32x16 a) {
  __m512 x = _mm512_max_ps(a.v, _mm512_permute_ps(a.v, 0xb1));
  x = _mm512_max_ps(x, _mm512_permute_ps(x, 0x4e));
  x = _mm512_max_ps(x, _mm512_shuffle_f32x4(x, x, 0xb1));
  x = _mm512_max_ps(x, _mm512_shuffle_f32x4(x, x, 0x4e));
  return _mm512_cvtss_f32(x);
}

/// Transposes 16 rows of 16 words in place.
LONGHAUL_INLINE void transpose16(I32x16* r) {
  __m512i t[16];
  for (int i = 0; i < 8; ++i) {
    t[2 * i] = _mm512_unpacklo_epi32(r[2 * i].v, r[2 * i + 1].v);
    t[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i].v, r[2 * i + 1].v);
  }
  __m512i u[16];  // u[4i + j], 128-bit lane L: column 4L + j of rows 4i … 4i+3
  for (int i = 0; i < 16; i += 4) {
    u[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    u[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    u[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    u[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  for (int j = 0; j < 4; ++j) {
    const __m512i upper02 = _mm512_shuffle_i32x4(u[j], u[4 + j], 0x88), upper13 = _mm512_shuffle_i32x4(u[j], u[4 + j], 0xdd);
    const __m512i lower02 = _mm512_shuffle_i32x4(u[8 + j], u[12 + j], 0x88), lower13 = _mm512_shuffle_i32x4(u[8 + j], u[12 + j], 0xdd);
    r[j].v = _mm512_shuffle_i32x4(upper02, lower02, 0x88);
    r[4 + j].v = _mm512_shuffle_i32x4(upper13, lower13, 0x88);
    r[8 + j].v = _mm512_shuffle_i32x4(upper02, lower02, 0xdd);
    r[12 + j].v = _mm512_shuffle_i32x4(upper13, lower13, 0xdd);
  }
}

struct Mask8 {
  __mmask8 v;
  static LONGHAUL_INLINE Mask8 first(int n) { return {static_cast<__mmask8>(n >= 8 ? 0xffu : (1u << n) - 1u)}; }
};
LONGHAUL_INLINE Mask8 operator&(Mask8 a, Mask8 b) { return {_kand_mask8(a.v, b.v)}; }
LONGHAUL_INLINE Mask8 operator|(Mask8 a, Mask8 b) { return {_kor_mask8(a.v, b.v)}; }
LONGHAUL_INLINE Mask8 operator~(Mask8 a) { return {_knot_mask8(a.v)}; }
LONGHAUL_INLINE bool any(Mask8 a) { return a.v != 0; }

struct I64x8 {
  __m512i v;
  static LONGHAUL_INLINE I64x8 splat(std::int64_t x) { return {_mm512_set1_epi64(x)}; }
  static LONGHAUL_INLINE I64x8 load(const std::int64_t* p) { return {_mm512_loadu_si512(p)}; }
  LONGHAUL_INLINE void store(std::int64_t* p) const { _mm512_storeu_si512(p, v); }
};
LONGHAUL_INLINE I64x8 operator+(I64x8 a, I64x8 b) { return {_mm512_add_epi64(a.v, b.v)}; }
LONGHAUL_INLINE I64x8 operator-(I64x8 a, I64x8 b) { return {_mm512_sub_epi64(a.v, b.v)}; }
LONGHAUL_INLINE I64x8 operator&(I64x8 a, I64x8 b) { return {_mm512_and_si512(a.v, b.v)}; }
LONGHAUL_INLINE I64x8 operator|(I64x8 a, I64x8 b) { return {_mm512_or_si512(a.v, b.v)}; }
LONGHAUL_INLINE I64x8 operator^(I64x8 a, I64x8 b) { return {_mm512_xor_si512(a.v, b.v)}; }
template <int N>
LONGHAUL_INLINE I64x8 shift_left(I64x8 a) {
  return {_mm512_slli_epi64(a.v, N)};
}
template <int N>
LONGHAUL_INLINE I64x8 shift_right(I64x8 a) {
  return {_mm512_srli_epi64(a.v, N)};
}
LONGHAUL_INLINE Mask8 operator==(I64x8 a, I64x8 b) { return {_mm512_cmpeq_epi64_mask(a.v, b.v)}; }

struct F64x8 {
  __m512d v;
  static LONGHAUL_INLINE F64x8 zero() { return {_mm512_setzero_pd()}; }
  static LONGHAUL_INLINE F64x8 splat(double x) { return {_mm512_set1_pd(x)}; }
  static LONGHAUL_INLINE F64x8 load(const double* p) { return {_mm512_loadu_pd(p)}; }
  LONGHAUL_INLINE void store(double* p) const { _mm512_storeu_pd(p, v); }
};
LONGHAUL_INLINE F64x8 operator+(F64x8 a, F64x8 b) { return {_mm512_add_pd(a.v, b.v)}; }
LONGHAUL_INLINE F64x8 operator-(F64x8 a, F64x8 b) { return {_mm512_sub_pd(a.v, b.v)}; }
LONGHAUL_INLINE F64x8 operator*(F64x8 a, F64x8 b) { return {_mm512_mul_pd(a.v, b.v)}; }
LONGHAUL_INLINE F64x8 operator/(F64x8 a, F64x8 b) { return {_mm512_div_pd(a.v, b.v)}; }
LONGHAUL_INLINE F64x8 fma(F64x8 a, F64x8 b, F64x8 c) { return {_mm512_fmadd_pd(a.v, b.v, c.v)}; }
LONGHAUL_INLINE F64x8 fnma(F64x8 a, F64x8 b, F64x8 c) { return {_mm512_fnmadd_pd(a.v, b.v, c.v)}; }
LONGHAUL_INLINE F64x8 sqrt(F64x8 a) { return {_mm512_sqrt_pd(a.v)}; }
LONGHAUL_INLINE F64x8 round(F64x8 a) { return {_mm512_roundscale_pd(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
LONGHAUL_INLINE F64x8 as_double(I64x8 a) { return {_mm512_castsi512_pd(a.v)}; }
LONGHAUL_INLINE I64x8 as_int(F64x8 a) { return {_mm512_castpd_si512(a.v)}; }
LONGHAUL_INLINE Mask8 operator<(F64x8 a, F64x8 b) { return {_mm512_cmp_pd_mask(a.v, b.v, _CMP_LT_OQ)}; }
LONGHAUL_INLINE Mask8 operator>(F64x8 a, F64x8 b) { return {_mm512_cmp_pd_mask(a.v, b.v, _CMP_GT_OQ)}; }
LONGHAUL_INLINE Mask8 operator==(F64x8 a, F64x8 b) { return {_mm512_cmp_pd_mask(a.v, b.v, _CMP_EQ_OQ)}; }
LONGHAUL_INLINE F64x8 select(Mask8 m, F64x8 a, F64x8 b) { return {_mm512_mask_blend_pd(m.v, b.v, a.v)}; }
LONGHAUL_INLINE I64x8 select(Mask8 m, I64x8 a, I64x8 b) { return {_mm512_mask_blend_epi64(m.v, b.v, a.v)}; }
LONGHAUL_INLINE F64x8 widen_low(F32x16 a) { return {_mm512_cvtps_pd(_mm512_castps512_ps256(a.v))}; }
LONGHAUL_INLINE F64x8 widen_high(F32x16 a) { return {_mm512_cvtps_pd(_mm512_extractf32x8_ps(a.v, 1))}; }
LONGHAUL_INLINE F32x16 narrow(F64x8 low, F64x8 high) {
  return {_mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(low.v)), _mm512_cvtpd_ps(high.v), 1)};
}
LONGHAUL_INLINE double reduce_tree(F64x8 a) {
  __m512d x = _mm512_add_pd(a.v, _mm512_permute_pd(a.v, 0x55));
  x = _mm512_add_pd(x, _mm512_permutex_pd(x, 0x4e));
  x = _mm512_add_pd(x, _mm512_shuffle_f64x2(x, x, 0x4e));
  return _mm512_cvtsd_f64(x);
}

}  // namespace
}  // namespace longhaul::kernels::LONGHAUL_FAMILY
