// kernels/vectors/simd_avx2.inc.h — the vectors of kernels/vectors/simd.h in two 256-bit registers: a holds the lower lanes, b the upper.
// Included by simd.h only.
#pragma once

namespace longhaul::kernels::LONGHAUL_FAMILY {
namespace {

LONGHAUL_INLINE __m256i first8(int n) { return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)); }

struct Mask16 {
  __m256i a, b;
  static LONGHAUL_INLINE Mask16 first(int n) { return {first8(n), first8(n - 8)}; }
};
LONGHAUL_INLINE Mask16 operator&(Mask16 x, Mask16 y) { return {_mm256_and_si256(x.a, y.a), _mm256_and_si256(x.b, y.b)}; }
LONGHAUL_INLINE Mask16 operator|(Mask16 x, Mask16 y) { return {_mm256_or_si256(x.a, y.a), _mm256_or_si256(x.b, y.b)}; }
LONGHAUL_INLINE Mask16 operator~(Mask16 x) {
  const __m256i ones = _mm256_set1_epi32(-1);
  return {_mm256_xor_si256(x.a, ones), _mm256_xor_si256(x.b, ones)};
}
LONGHAUL_INLINE bool any(Mask16 x) { return _mm256_movemask_epi8(_mm256_or_si256(x.a, x.b)) != 0; }
LONGHAUL_INLINE bool all(Mask16 x) { return _mm256_movemask_epi8(_mm256_and_si256(x.a, x.b)) == -1; }

struct I32x16 {
  __m256i a, b;
  static LONGHAUL_INLINE I32x16 splat(std::int32_t x) { return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)}; }
  static LONGHAUL_INLINE I32x16 zero() { return splat(0); }
  static LONGHAUL_INLINE I32x16 iota() {
    return {_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_setr_epi32(8, 9, 10, 11, 12, 13, 14, 15)};
  }
  static LONGHAUL_INLINE I32x16 load(const std::int32_t* p) {
    return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)), _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 8))};
  }
  static LONGHAUL_INLINE I32x16 load_partial(const std::int32_t* p, int n) {
    return {_mm256_maskload_epi32(p, first8(n)), _mm256_maskload_epi32(p + 8, first8(n - 8))};
  }
  LONGHAUL_INLINE void store(std::int32_t* p) const {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 8), b);
  }
};
LONGHAUL_INLINE I32x16 operator+(I32x16 x, I32x16 y) { return {_mm256_add_epi32(x.a, y.a), _mm256_add_epi32(x.b, y.b)}; }
LONGHAUL_INLINE I32x16 operator-(I32x16 x, I32x16 y) { return {_mm256_sub_epi32(x.a, y.a), _mm256_sub_epi32(x.b, y.b)}; }
LONGHAUL_INLINE I32x16 operator*(I32x16 x, I32x16 y) { return {_mm256_mullo_epi32(x.a, y.a), _mm256_mullo_epi32(x.b, y.b)}; }
LONGHAUL_INLINE I32x16 operator&(I32x16 x, I32x16 y) { return {_mm256_and_si256(x.a, y.a), _mm256_and_si256(x.b, y.b)}; }
LONGHAUL_INLINE I32x16 operator|(I32x16 x, I32x16 y) { return {_mm256_or_si256(x.a, y.a), _mm256_or_si256(x.b, y.b)}; }
LONGHAUL_INLINE I32x16 operator^(I32x16 x, I32x16 y) { return {_mm256_xor_si256(x.a, y.a), _mm256_xor_si256(x.b, y.b)}; }
template <int N>
LONGHAUL_INLINE I32x16 shift_left(I32x16 x) {
  return {_mm256_slli_epi32(x.a, N), _mm256_slli_epi32(x.b, N)};
}
/// Logical: zeros come in.
template <int N>
LONGHAUL_INLINE I32x16 shift_right(I32x16 x) {
  return {_mm256_srli_epi32(x.a, N), _mm256_srli_epi32(x.b, N)};
}
template <int N>
LONGHAUL_INLINE I32x16 shift_right_signed(I32x16 x) {
  return {_mm256_srai_epi32(x.a, N), _mm256_srai_epi32(x.b, N)};
}
LONGHAUL_INLINE Mask16 operator==(I32x16 x, I32x16 y) { return {_mm256_cmpeq_epi32(x.a, y.a), _mm256_cmpeq_epi32(x.b, y.b)}; }
LONGHAUL_INLINE Mask16 operator>(I32x16 x, I32x16 y) { return {_mm256_cmpgt_epi32(x.a, y.a), _mm256_cmpgt_epi32(x.b, y.b)}; }
LONGHAUL_INLINE Mask16 operator<(I32x16 x, I32x16 y) { return y > x; }
LONGHAUL_INLINE I32x16 select(Mask16 m, I32x16 x, I32x16 y) {
  return {_mm256_blendv_epi8(y.a, x.a, m.a), _mm256_blendv_epi8(y.b, x.b, m.b)};
}
LONGHAUL_INLINE I32x16 min(I32x16 x, I32x16 y) { return {_mm256_min_epi32(x.a, y.a), _mm256_min_epi32(x.b, y.b)}; }
LONGHAUL_INLINE I32x16 max(I32x16 x, I32x16 y) { return {_mm256_max_epi32(x.a, y.a), _mm256_max_epi32(x.b, y.b)}; }

LONGHAUL_INLINE __m256 widen_bf16(__m128i half) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16)); }
/// fp32 to bf16 (in the lower half of each element), to nearest even, in integers; a NaN keeps its upper bits and becomes quiet.
LONGHAUL_INLINE __m256i round_bf16(__m256 x) {
  const __m256i u = _mm256_castps_si256(x);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(1));
  const __m256i rounded = _mm256_srli_epi32(_mm256_add_epi32(u, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff))), 16);
  const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
  const __m256i quiet = _mm256_or_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(0x40));
  return _mm256_blendv_epi8(rounded, quiet, nan);
}

struct F32x16 {
  __m256 a, b;
  static LONGHAUL_INLINE F32x16 zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
  static LONGHAUL_INLINE F32x16 splat(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
  static LONGHAUL_INLINE F32x16 load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
  static LONGHAUL_INLINE F32x16 load_partial(const float* p, int n) {
    return {_mm256_maskload_ps(p, first8(n)), _mm256_maskload_ps(p + 8, first8(n - 8))};
  }
  static LONGHAUL_INLINE F32x16 load(const bf16* p) {
    const __m128i* q = reinterpret_cast<const __m128i*>(p);
    return {widen_bf16(_mm_loadu_si128(q)), widen_bf16(_mm_loadu_si128(q + 1))};
  }
  static LONGHAUL_INLINE F32x16 load_partial(const bf16* p, int n) {
    bf16 padded[16] = {};
    for (int i = 0; i < n; ++i) padded[i] = p[i];
    return load(padded);
  }
  LONGHAUL_INLINE void store(float* p) const {
    _mm256_storeu_ps(p, a);
    _mm256_storeu_ps(p + 8, b);
  }
  LONGHAUL_INLINE void store_partial(float* p, int n) const {
    _mm256_maskstore_ps(p, first8(n), a);
    _mm256_maskstore_ps(p + 8, first8(n - 8), b);
  }
  LONGHAUL_INLINE void store(bf16* p) const {
    const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(round_bf16(a), round_bf16(b)), 0xd8);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), packed);
  }
  LONGHAUL_INLINE void store_partial(bf16* p, int n) const {
    bf16 all_lanes[16];
    store(all_lanes);
    for (int i = 0; i < n; ++i) p[i] = all_lanes[i];
  }
};
LONGHAUL_INLINE F32x16 operator+(F32x16 x, F32x16 y) { return {_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)}; }
LONGHAUL_INLINE F32x16 operator-(F32x16 x, F32x16 y) { return {_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)}; }
LONGHAUL_INLINE F32x16 operator*(F32x16 x, F32x16 y) { return {_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)}; }
LONGHAUL_INLINE F32x16 operator/(F32x16 x, F32x16 y) { return {_mm256_div_ps(x.a, y.a), _mm256_div_ps(x.b, y.b)}; }
LONGHAUL_INLINE F32x16 fma(F32x16 x, F32x16 y, F32x16 z) { return {_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)}; }
LONGHAUL_INLINE F32x16 fnma(F32x16 x, F32x16 y, F32x16 z) { return {_mm256_fnmadd_ps(x.a, y.a, z.a), _mm256_fnmadd_ps(x.b, y.b, z.b)}; }
LONGHAUL_INLINE F32x16 sqrt(F32x16 x) { return {_mm256_sqrt_ps(x.a), _mm256_sqrt_ps(x.b)}; }
LONGHAUL_INLINE F32x16 min(F32x16 x, F32x16 y) { return {_mm256_min_ps(x.a, y.a), _mm256_min_ps(x.b, y.b)}; }
LONGHAUL_INLINE F32x16 max(F32x16 x, F32x16 y) { return {_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)}; }
/// To the nearest integer, ties to even.
LONGHAUL_INLINE F32x16 round(F32x16 x) {
  constexpr int kMode = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  return {_mm256_round_ps(x.a, kMode), _mm256_round_ps(x.b, kMode)};
}
LONGHAUL_INLINE F32x16 floor(F32x16 x) {
  constexpr int kMode = _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC;
  return {_mm256_round_ps(x.a, kMode), _mm256_round_ps(x.b, kMode)};
}
LONGHAUL_INLINE I32x16 round_to_int(F32x16 x) { return {_mm256_cvtps_epi32(x.a), _mm256_cvtps_epi32(x.b)}; }
LONGHAUL_INLINE F32x16 to_float(I32x16 x) { return {_mm256_cvtepi32_ps(x.a), _mm256_cvtepi32_ps(x.b)}; }
LONGHAUL_INLINE F32x16 as_float(I32x16 x) { return {_mm256_castsi256_ps(x.a), _mm256_castsi256_ps(x.b)}; }
LONGHAUL_INLINE I32x16 as_int(F32x16 x) { return {_mm256_castps_si256(x.a), _mm256_castps_si256(x.b)}; }
template <int Predicate>
LONGHAUL_INLINE Mask16 compare(F32x16 x, F32x16 y) {
  return {_mm256_castps_si256(_mm256_cmp_ps(x.a, y.a, Predicate)), _mm256_castps_si256(_mm256_cmp_ps(x.b, y.b, Predicate))};
}
LONGHAUL_INLINE Mask16 operator<(F32x16 x, F32x16 y) { return compare<_CMP_LT_OQ>(x, y); }
LONGHAUL_INLINE Mask16 operator<=(F32x16 x, F32x16 y) { return compare<_CMP_LE_OQ>(x, y); }
LONGHAUL_INLINE Mask16 operator>(F32x16 x, F32x16 y) { return compare<_CMP_GT_OQ>(x, y); }
LONGHAUL_INLINE Mask16 operator>=(F32x16 x, F32x16 y) { return compare<_CMP_GE_OQ>(x, y); }
LONGHAUL_INLINE Mask16 operator==(F32x16 x, F32x16 y) { return compare<_CMP_EQ_OQ>(x, y); }
LONGHAUL_INLINE Mask16 is_nan(F32x16 x) { return compare<_CMP_UNORD_Q>(x, x); }
LONGHAUL_INLINE F32x16 select(Mask16 m, F32x16 x, F32x16 y) {
  return {_mm256_blendv_ps(y.a, x.a, _mm256_castsi256_ps(m.a)), _mm256_blendv_ps(y.b, x.b, _mm256_castsi256_ps(m.b))};
}

/// The fixed tree over 16 lanes: ((0+1)+(2+3))+… ; a butterfly, since addition commutes.
LONGHAUL_INLINE float reduce_tree(F32x16 x) {
  __m256 a = _mm256_add_ps(x.a, _mm256_permute_ps(x.a, 0xb1)), b = _mm256_add_ps(x.b, _mm256_permute_ps(x.b, 0xb1));
  a = _mm256_add_ps(a, _mm256_permute_ps(a, 0x4e)), b = _mm256_add_ps(b, _mm256_permute_ps(b, 0x4e));
  a = _mm256_add_ps(a, _mm256_permute2f128_ps(a, a, 1)), b = _mm256_add_ps(b, _mm256_permute2f128_ps(b, b, 1));
  return _mm256_cvtss_f32(_mm256_add_ps(a, b));
}
/// Largest lane (no NaN among them).
LONGHAUL_INLINE float reduce_max(F32x16 x) {
  __m256 m = _mm256_max_ps(x.a, x.b);
  m = _mm256_max_ps(m, _mm256_permute_ps(m, 0xb1));
  m = _mm256_max_ps(m, _mm256_permute_ps(m, 0x4e));
  m = _mm256_max_ps(m, _mm256_permute2f128_ps(m, m, 1));
  return _mm256_cvtss_f32(m);
}

LONGHAUL_INLINE void transpose8(__m256i* r) {
  __m256i t[8], u[8];
  for (int i = 0; i < 4; ++i) {
    t[2 * i] = _mm256_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
    t[2 * i + 1] = _mm256_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
  }
  for (int i = 0; i < 8; i += 4) {  // u[4i + j], 128-bit lane L: column 4L + j of rows 4i … 4i+3
    u[i] = _mm256_unpacklo_epi64(t[i], t[i + 2]);
    u[i + 1] = _mm256_unpackhi_epi64(t[i], t[i + 2]);
    u[i + 2] = _mm256_unpacklo_epi64(t[i + 1], t[i + 3]);
    u[i + 3] = _mm256_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  for (int j = 0; j < 4; ++j) {
    r[j] = _mm256_permute2x128_si256(u[j], u[4 + j], 0x20);
    r[4 + j] = _mm256_permute2x128_si256(u[j], u[4 + j], 0x31);
  }
}
/// Transposes 16 rows of 16 words in place.
LONGHAUL_INLINE void transpose16(I32x16* r) {
  __m256i quarter[4][8];  // rows 0–7 and 8–15 of columns 0–7, then of columns 8–15
  for (int i = 0; i < 8; ++i) quarter[0][i] = r[i].a, quarter[1][i] = r[8 + i].a, quarter[2][i] = r[i].b, quarter[3][i] = r[8 + i].b;
  for (int q = 0; q < 4; ++q) transpose8(quarter[q]);
  for (int i = 0; i < 8; ++i) r[i] = {quarter[0][i], quarter[1][i]}, r[8 + i] = {quarter[2][i], quarter[3][i]};
}

struct Mask8 {
  __m256i a, b;
  static LONGHAUL_INLINE Mask8 first(int n) {
    const __m256i index = _mm256_setr_epi64x(0, 1, 2, 3);
    return {_mm256_cmpgt_epi64(_mm256_set1_epi64x(n), index), _mm256_cmpgt_epi64(_mm256_set1_epi64x(n - 4), index)};
  }
};
LONGHAUL_INLINE Mask8 operator&(Mask8 x, Mask8 y) { return {_mm256_and_si256(x.a, y.a), _mm256_and_si256(x.b, y.b)}; }
LONGHAUL_INLINE Mask8 operator|(Mask8 x, Mask8 y) { return {_mm256_or_si256(x.a, y.a), _mm256_or_si256(x.b, y.b)}; }
LONGHAUL_INLINE Mask8 operator~(Mask8 x) {
  const __m256i ones = _mm256_set1_epi32(-1);
  return {_mm256_xor_si256(x.a, ones), _mm256_xor_si256(x.b, ones)};
}
LONGHAUL_INLINE bool any(Mask8 x) { return _mm256_movemask_epi8(_mm256_or_si256(x.a, x.b)) != 0; }

struct I64x8 {
  __m256i a, b;
  static LONGHAUL_INLINE I64x8 splat(std::int64_t x) { return {_mm256_set1_epi64x(x), _mm256_set1_epi64x(x)}; }
  static LONGHAUL_INLINE I64x8 load(const std::int64_t* p) {
    return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)), _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 4))};
  }
  LONGHAUL_INLINE void store(std::int64_t* p) const {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 4), b);
  }
};
LONGHAUL_INLINE I64x8 operator+(I64x8 x, I64x8 y) { return {_mm256_add_epi64(x.a, y.a), _mm256_add_epi64(x.b, y.b)}; }
LONGHAUL_INLINE I64x8 operator-(I64x8 x, I64x8 y) { return {_mm256_sub_epi64(x.a, y.a), _mm256_sub_epi64(x.b, y.b)}; }
LONGHAUL_INLINE I64x8 operator&(I64x8 x, I64x8 y) { return {_mm256_and_si256(x.a, y.a), _mm256_and_si256(x.b, y.b)}; }
LONGHAUL_INLINE I64x8 operator|(I64x8 x, I64x8 y) { return {_mm256_or_si256(x.a, y.a), _mm256_or_si256(x.b, y.b)}; }
LONGHAUL_INLINE I64x8 operator^(I64x8 x, I64x8 y) { return {_mm256_xor_si256(x.a, y.a), _mm256_xor_si256(x.b, y.b)}; }
template <int N>
LONGHAUL_INLINE I64x8 shift_left(I64x8 x) {
  return {_mm256_slli_epi64(x.a, N), _mm256_slli_epi64(x.b, N)};
}
template <int N>
LONGHAUL_INLINE I64x8 shift_right(I64x8 x) {
  return {_mm256_srli_epi64(x.a, N), _mm256_srli_epi64(x.b, N)};
}
LONGHAUL_INLINE Mask8 operator==(I64x8 x, I64x8 y) { return {_mm256_cmpeq_epi64(x.a, y.a), _mm256_cmpeq_epi64(x.b, y.b)}; }

struct F64x8 {
  __m256d a, b;
  static LONGHAUL_INLINE F64x8 zero() { return {_mm256_setzero_pd(), _mm256_setzero_pd()}; }
  static LONGHAUL_INLINE F64x8 splat(double x) { return {_mm256_set1_pd(x), _mm256_set1_pd(x)}; }
  static LONGHAUL_INLINE F64x8 load(const double* p) { return {_mm256_loadu_pd(p), _mm256_loadu_pd(p + 4)}; }
  LONGHAUL_INLINE void store(double* p) const {
    _mm256_storeu_pd(p, a);
    _mm256_storeu_pd(p + 4, b);
  }
};
LONGHAUL_INLINE F64x8 operator+(F64x8 x, F64x8 y) { return {_mm256_add_pd(x.a, y.a), _mm256_add_pd(x.b, y.b)}; }
LONGHAUL_INLINE F64x8 operator-(F64x8 x, F64x8 y) { return {_mm256_sub_pd(x.a, y.a), _mm256_sub_pd(x.b, y.b)}; }
LONGHAUL_INLINE F64x8 operator*(F64x8 x, F64x8 y) { return {_mm256_mul_pd(x.a, y.a), _mm256_mul_pd(x.b, y.b)}; }
LONGHAUL_INLINE F64x8 operator/(F64x8 x, F64x8 y) { return {_mm256_div_pd(x.a, y.a), _mm256_div_pd(x.b, y.b)}; }
LONGHAUL_INLINE F64x8 fma(F64x8 x, F64x8 y, F64x8 z) { return {_mm256_fmadd_pd(x.a, y.a, z.a), _mm256_fmadd_pd(x.b, y.b, z.b)}; }
LONGHAUL_INLINE F64x8 fnma(F64x8 x, F64x8 y, F64x8 z) { return {_mm256_fnmadd_pd(x.a, y.a, z.a), _mm256_fnmadd_pd(x.b, y.b, z.b)}; }
LONGHAUL_INLINE F64x8 sqrt(F64x8 x) { return {_mm256_sqrt_pd(x.a), _mm256_sqrt_pd(x.b)}; }
LONGHAUL_INLINE F64x8 round(F64x8 x) {
  constexpr int kMode = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  return {_mm256_round_pd(x.a, kMode), _mm256_round_pd(x.b, kMode)};
}
LONGHAUL_INLINE F64x8 as_double(I64x8 x) { return {_mm256_castsi256_pd(x.a), _mm256_castsi256_pd(x.b)}; }
LONGHAUL_INLINE I64x8 as_int(F64x8 x) { return {_mm256_castpd_si256(x.a), _mm256_castpd_si256(x.b)}; }
template <int Predicate>
LONGHAUL_INLINE Mask8 compare(F64x8 x, F64x8 y) {
  return {_mm256_castpd_si256(_mm256_cmp_pd(x.a, y.a, Predicate)), _mm256_castpd_si256(_mm256_cmp_pd(x.b, y.b, Predicate))};
}
LONGHAUL_INLINE Mask8 operator<(F64x8 x, F64x8 y) { return compare<_CMP_LT_OQ>(x, y); }
LONGHAUL_INLINE Mask8 operator>(F64x8 x, F64x8 y) { return compare<_CMP_GT_OQ>(x, y); }
LONGHAUL_INLINE Mask8 operator==(F64x8 x, F64x8 y) { return compare<_CMP_EQ_OQ>(x, y); }
LONGHAUL_INLINE F64x8 select(Mask8 m, F64x8 x, F64x8 y) {
  return {_mm256_blendv_pd(y.a, x.a, _mm256_castsi256_pd(m.a)), _mm256_blendv_pd(y.b, x.b, _mm256_castsi256_pd(m.b))};
}
LONGHAUL_INLINE I64x8 select(Mask8 m, I64x8 x, I64x8 y) { return {_mm256_blendv_epi8(y.a, x.a, m.a), _mm256_blendv_epi8(y.b, x.b, m.b)}; }
LONGHAUL_INLINE F64x8 widen(__m256 x) { return {_mm256_cvtps_pd(_mm256_castps256_ps128(x)), _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1))}; }
LONGHAUL_INLINE F64x8 widen_low(F32x16 x) { return widen(x.a); }
LONGHAUL_INLINE F64x8 widen_high(F32x16 x) { return widen(x.b); }
LONGHAUL_INLINE F32x16 narrow(F64x8 low, F64x8 high) {
  return {_mm256_set_m128(_mm256_cvtpd_ps(low.b), _mm256_cvtpd_ps(low.a)),
          _mm256_set_m128(_mm256_cvtpd_ps(high.b), _mm256_cvtpd_ps(high.a))};
}
LONGHAUL_INLINE double reduce_tree(F64x8 x) {
  __m256d a = _mm256_add_pd(x.a, _mm256_permute_pd(x.a, 0x5)), b = _mm256_add_pd(x.b, _mm256_permute_pd(x.b, 0x5));
  a = _mm256_add_pd(a, _mm256_permute2f128_pd(a, a, 1)), b = _mm256_add_pd(b, _mm256_permute2f128_pd(b, b, 1));
  return _mm256_cvtsd_f64(_mm256_add_pd(a, b));
}

}  // namespace
}  // namespace longhaul::kernels::LONGHAUL_FAMILY
