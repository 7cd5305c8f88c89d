#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "kernels/bf16.h"
#include "kernels/probes/simd_probe.h"

namespace longhaul::kernels {
namespace {

std::vector<Family> families() {
  std::vector<Family> all;
  for (Family family : {Family::avx2, Family::avx512, Family::avx512_bf16}) {
    if (supported(family)) all.push_back(family);
  }
  return all;
}
const SimdProbe& probe(Family family) { return LONGHAUL_FAMILY_SELECT(family, simd_probe); }

// Any bit pattern but NaN: denormals, infinities and huge ratios included.
float any_float(std::mt19937_64& random) {
  for (;;) {
    const float x = std::bit_cast<float>(static_cast<std::uint32_t>(random()));
    if (!std::isnan(x)) return x;
  }
}

// Equal bits, any NaN equal to any other (payloads are outside the contract).
template <typename T>
void expect_same(const std::vector<T>& want, const std::vector<T>& got, Family family, const char* what) {
  for (std::size_t i = 0; i < want.size(); ++i) {
    if constexpr (std::is_floating_point_v<T>) {
      if (std::isnan(want[i]) && std::isnan(got[i])) continue;
    }
    ASSERT_EQ(std::memcmp(&want[i], &got[i], sizeof(T)), 0)
        << what << " result " << i / 16 << " lane " << i % 16 << " on " << name(family) << ": " << want[i] << " against " << got[i];
  }
}

TEST(Simd, EveryFamilyComputesTheBitsOfAvx2) {
  set_floating_point_environment();
  std::mt19937_64 random(7);
  for (int round = 0; round < 2000; ++round) {
    std::vector<float> a(16), b(16), c(16), want(14 * 16), got(14 * 16);
    std::vector<std::int32_t> ia(16), ib(16), iwant(9 * 16), igot(9 * 16);
    std::vector<double> da(8), db(8), dc(8), dwant(64), dgot(64);
    for (int i = 0; i < 16; ++i) {
      a[i] = any_float(random), b[i] = any_float(random), c[i] = any_float(random);
      ia[i] = static_cast<std::int32_t>(random()), ib[i] = static_cast<std::int32_t>(random());
    }
    for (int i = 0; i < 8; ++i) da[i] = a[i] * 1e3, db[i] = b[i], dc[i] = c[i] / 3.0;
    for (Family family : families()) {
      probe(Family::avx2).arithmetic(a.data(), b.data(), c.data(), want.data());
      probe(family).arithmetic(a.data(), b.data(), c.data(), got.data());
      expect_same(want, got, family, "arithmetic");
      probe(Family::avx2).comparisons(a.data(), b.data(), iwant.data());
      probe(family).comparisons(a.data(), b.data(), igot.data());
      expect_same(iwant, igot, family, "comparison");
      probe(Family::avx2).integers(ia.data(), ib.data(), iwant.data());
      probe(family).integers(ia.data(), ib.data(), igot.data());
      expect_same(iwant, igot, family, "integer");
      probe(Family::avx2).doubles(da.data(), db.data(), dc.data(), dwant.data());
      probe(family).doubles(da.data(), db.data(), dc.data(), dgot.data());
      expect_same(dwant, dgot, family, "double");
    }
  }
}

TEST(Simd, ArithmeticIsThatOfScalarCode) {
  const float a[16] = {1, 2, 3, 4, 5, 6, 7, 8, -1, -2, -3, -4.5f, 0.1f, 0.2f, 1e10f, 2.5f};
  const float b[16] = {3, 3, 3, 3, 3, 3, 3, 9, 7, 7, 7, 7, 7, 0.3f, 1e-10f, -1};
  const float c[16] = {9, 8, 7, 6, 5, 4, 3, 2, 1, 0, -1, -2, -3, 1e-9f, 5, 6};
  for (Family family : families()) {
    float out[14 * 16];
    probe(family).arithmetic(a, b, c, out);
    for (int i = 0; i < 16; ++i) {
      EXPECT_EQ(out[i], a[i] + b[i]);
      EXPECT_EQ(out[3 * 16 + i], a[i] / b[i]);
      EXPECT_EQ(out[4 * 16 + i], std::fma(a[i], b[i], c[i]));
      EXPECT_EQ(out[5 * 16 + i], std::fma(-a[i], b[i], c[i]));
      EXPECT_EQ(out[9 * 16 + i], std::nearbyint(a[i]));
      EXPECT_EQ(out[10 * 16 + i], std::floor(a[i]));
      EXPECT_EQ(out[11 * 16 + i], std::copysign(a[i], b[i]));
      EXPECT_EQ(out[13 * 16 + i], a[i] < b[i] ? a[i] : c[i]);
    }
  }
}

TEST(Simd, Bf16RoundsToNearestEvenAndKeepsNan) {
  std::mt19937_64 random(11);
  std::vector<float> cases = {0.0f,
                              -0.0f,
                              1.0f,
                              std::bit_cast<float>(0x3f808000u),
                              std::bit_cast<float>(0x3f818000u),
                              std::numeric_limits<float>::infinity(),
                              std::numeric_limits<float>::max(),
                              std::numeric_limits<float>::denorm_min(),
                              std::numeric_limits<float>::quiet_NaN(),
                              std::bit_cast<float>(0x7f800001u),
                              std::bit_cast<float>(0xffffffffu)};
  while (cases.size() < 16 * 4000) cases.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(random())));
  EXPECT_EQ(to_bf16(cases[3]).bits, 0x3f80) << "a tie goes to the even neighbour below";
  EXPECT_EQ(to_bf16(cases[4]).bits, 0x3f82) << "a tie goes to the even neighbour above";
  EXPECT_EQ(to_bf16(std::numeric_limits<float>::max()).bits, 0x7f80) << "overflow rounds to infinity";
  EXPECT_EQ(to_bf16(cases[9]).bits, 0x7fc0) << "a signalling NaN becomes a quiet one, never infinity";
  for (Family family : families()) {
    for (std::size_t i = 0; i < cases.size(); i += 16) {
      const int n = static_cast<int>(i / 16 % 17);
      bf16 out[16] = {}, full[16];
      probe(family).round_bf16(&cases[i], out, n);
      probe(family).round_bf16(&cases[i], full, 16);
      float wide[16];
      probe(family).widen_bf16(full, wide, n);
      for (int j = 0; j < 16; ++j) {
        ASSERT_EQ(full[j].bits, to_bf16(cases[i + j]).bits) << std::bit_cast<std::uint32_t>(cases[i + j]) << " on " << name(family);
        ASSERT_EQ(out[j].bits, j < n ? full[j].bits : 0) << "partial store of " << n;
        ASSERT_EQ(std::bit_cast<std::uint32_t>(wide[j]), j < n ? static_cast<std::uint32_t>(full[j].bits) << 16 : 0u)
            << "partial load of " << n;
      }
    }
  }
}

TEST(Simd, PartialCopiesTouchNothingBehind) {
  for (Family family : families()) {
    for (int n = 0; n <= 16; ++n) {
      float in[16], out[17];
      for (int i = 0; i < 16; ++i) in[i] = static_cast<float>(i + 1), out[i] = -1;
      out[16] = -1;
      probe(family).copy_partial(in, out, n);
      for (int i = 0; i < 17; ++i) EXPECT_EQ(out[i], i < n ? in[i] : -1.0f) << "element " << i << " of " << n << " on " << name(family);
    }
  }
}

TEST(Simd, ReductionsFollowTheFixedTree) {
  std::mt19937_64 random(3);
  std::uniform_real_distribution<float> uniform(-1.0f, 1.0f);
  const auto tree = [](const auto& self, const auto* x, int n) -> std::remove_cvref_t<decltype(*x)> {
    return n == 1 ? x[0] : self(self, x, n / 2) + self(self, x + n / 2, n / 2);
  };
  int differs_from_chain = 0;
  for (int round = 0; round < 500; ++round) {
    float x[16], chain = 0;
    double squares[16], wide[16];
    for (int i = 0; i < 16; ++i) {
      x[i] = uniform(random);
      chain += x[i];
      squares[i] = static_cast<double>(x[i]) * x[i];
      wide[i] = x[i] / 3.0;
    }
    const float want = tree(tree, x, 16);
    differs_from_chain += want != chain;
    for (Family family : families()) {
      EXPECT_EQ(probe(family).reduce_tree(x), want);
      EXPECT_EQ(probe(family).reduce_tree_double(x), tree(tree, squares, 16));
      EXPECT_EQ(probe(family).reduce_max(x), *std::max_element(x, x + 16));
      float narrowed[16];
      probe(family).narrow(wide, narrowed);
      for (int i = 0; i < 16; ++i) EXPECT_EQ(narrowed[i], static_cast<float>(wide[i]));
    }
  }
  EXPECT_GT(differs_from_chain, 100) << "the inputs must tell orders apart";
}

}  // namespace
}  // namespace longhaul::kernels
