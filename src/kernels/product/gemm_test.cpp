#include "kernels/product/gemm.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "kernels/bf16.h"
#include "kernels/product/gemm_family.h"
#include "kernels/statements/gemm_statement.h"

namespace longhaul::kernels {
namespace {

/// Every kernel this processor runs, whether or not gemm() would take it here.
struct Kernel {
  std::string name;
  Family family;
  const GemmKernel* code;
};
std::vector<Kernel> kernels(Order order) {
  std::vector<Kernel> all;
  for (Family family : {Family::avx2, Family::avx512, Family::avx512_bf16}) {
    if (!supported(family)) continue;
    const GemmTable& table = LONGHAUL_FAMILY_SELECT(family, gemm_table);
    all.push_back({std::string(name(order)) + " on " + std::string(name(family)), family, order == Order::fma ? &table.fma : &table.dp2});
  }
  return all;
}

enum class Layout { nn, nt, tn };

/// Operands of one product, with spare columns behind each row (a view of a wider matrix). Values cancel and
/// spread over many binades: sums of bf16 products of like size are often exact in fp32, whatever the order.
struct Operands {
  Operands(Order order, Layout layout, std::int64_t m, std::int64_t n, std::int64_t k, unsigned seed) : order_(order) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    const auto fill = [&](std::vector<std::uint8_t>& bytes, std::int64_t rows, std::int64_t cols) {
      const std::size_t size = static_cast<std::size_t>(size_of(operand_type(order)));
      bytes.resize(static_cast<std::size_t>(rows * (cols + kSpare)) * size);
      for (std::size_t at = 0; at < bytes.size(); at += size) {
        const float x = normal(random) * std::exp2(4 * normal(random));
        const bf16 rounded = to_bf16(x);
        std::memcpy(&bytes[at], order == Order::fma ? static_cast<const void*>(&x) : &rounded, size);
      }
      return MatrixView{bytes.data(), operand_type(order), rows, cols, cols + kSpare, 1};
    };
    a = layout == Layout::tn ? fill(a_bytes_, k, m).transposed() : fill(a_bytes_, m, k);
    b = layout == Layout::nt ? fill(b_bytes_, n, k).transposed() : fill(b_bytes_, k, n);
    start.resize(static_cast<std::size_t>(m * (n + kSpare)));
    for (float& x : start) x = normal(random);
  }
  std::vector<float> reference(bool accumulate, std::int64_t k_restart) const {
    std::vector<float> c = start;
    statement::gemm(order_, a, b, c.data(), b.cols + kSpare, accumulate, k_restart);
    return c;
  }
  std::vector<float> product(const Kernel& kernel, ThreadPool& pool, bool accumulate, std::int64_t k_restart) const {
    std::vector<float> c = start;
    gemm_with(*kernel.code, {pool, kernel.family, order_}, a, b, c.data(), b.cols + kSpare, accumulate, k_restart);
    return c;
  }

  static constexpr std::int64_t kSpare = 3;
  MatrixView a{}, b{};
  std::vector<float> start;

 private:
  Order order_;
  std::vector<std::uint8_t> a_bytes_, b_bytes_;
};

void expect_equal_bits(const std::vector<float>& want, const std::vector<float>& got, const std::string& what) {
  ASSERT_EQ(want.size(), got.size());
  for (std::size_t i = 0; i < want.size(); ++i) {
    ASSERT_EQ(std::bit_cast<std::uint32_t>(want[i]), std::bit_cast<std::uint32_t>(got[i]))
        << what << ", element " << i << ": " << want[i] << " against " << got[i];
  }
}

/// Every family and 1–3 threads against the scalar statement; nothing outside C changes (its spare columns are compared too).
void check(Order order, Layout layout, std::int64_t m, std::int64_t n, std::int64_t k, bool accumulate = false,
           std::int64_t k_restart = 0) {
  static ThreadPool pools[] = {ThreadPool(1), ThreadPool(2), ThreadPool(3)};
  const Operands operands(order, layout, m, n, k, static_cast<unsigned>(m * 31 + n * 7 + k));
  const std::vector<float> want = operands.reference(accumulate, k_restart);
  for (const Kernel& kernel : kernels(order)) {
    for (ThreadPool& pool : pools) {
      expect_equal_bits(want, operands.product(kernel, pool, accumulate, k_restart),
                        kernel.name + ", " + std::to_string(pool.threads()) + " threads, layout " +
                            std::to_string(static_cast<int>(layout)) + ", " + std::to_string(m) + "x" + std::to_string(n) + "x" +
                            std::to_string(k) + ", restart " + std::to_string(k_restart));
    }
  }
}

constexpr Order kOrders[] = {Order::fma, Order::dp2};
constexpr Layout kLayouts[] = {Layout::nn, Layout::nt, Layout::tn};

TEST(Gemm, SmallAndOddShapesHaveTheBitsOfTheScalarStatement) {
  const std::int64_t sizes[][3] = {{1, 1, 1},    {1, 1, 2},   {1, 33, 5},  {7, 1, 31},  {2, 3, 4},    {13, 17, 19}, {14, 32, 16},
                                   {15, 33, 33}, {6, 16, 64}, {29, 47, 1}, {5, 100, 3}, {100, 5, 70}, {64, 31, 63}, {37, 129, 127}};
  for (Order order : kOrders) {
    for (Layout layout : kLayouts) {
      for (const auto& [m, n, k] : sizes) {
        check(order, layout, m, n, k);
        check(order, layout, m, n, k, true);
      }
    }
  }
}

TEST(Gemm, LongChainsAreNeverSplit) {
  for (Order order : kOrders) {
    check(order, Layout::tn, 64, 64, 4096, true);  // a weight gradient: k = tokens
    check(order, Layout::nt, 3, 5, 10001);
  }
}

TEST(Gemm, ManyBlocksOfEverySide) {
  for (Order order : kOrders) {
    check(order, Layout::nn, 33, 2100, 40);
    check(order, Layout::nt, 1100, 70, 50, true);
    check(order, Layout::tn, 200, 150, 900);
    check(order, Layout::nt, 460, 70, 2100);
  }
}

TEST(Gemm, PairsRestartAtEachSequence) {
  for (Layout layout : kLayouts) {
    for (std::int64_t restart : {1, 3, 7, 33, 64, 1000}) {
      check(Order::dp2, layout, 17, 40, 200, false, restart);
      check(Order::dp2, layout, 5, 6, 2 * 33 + 8, true, restart);
    }
    check(Order::dp2, layout, 20, 35, 3000, true, 1001);
  }
  const Operands operands(Order::dp2, Layout::tn, 8, 8, 99, 5);
  EXPECT_NE(operands.reference(false, 33), operands.reference(false, 0)) << "an odd restart must move pairs, else the test sees nothing";
  EXPECT_EQ(operands.reference(false, 66), operands.reference(false, 0));
}

TEST(Gemm, AccumulatingTwoEvenHalvesAlongKIsOneProduct) {
  ThreadPool pool(2);
  for (Order order : kOrders) {
    for (const Kernel& kernel : kernels(order)) {
      const Operands operands(order, Layout::tn, 48, 80, 512, 9);
      std::vector<float> halves = operands.start;
      const auto rows = [&](const MatrixView& view, std::int64_t begin, std::int64_t end) {  // k range of a [k, x] row-major matrix
        const auto* data = static_cast<const std::uint8_t*>(view.data);
        return MatrixView{data + begin * view.row_stride * size_of(view.dtype), view.dtype, end - begin, view.cols, view.row_stride, 1};
      };
      const std::int64_t stride = operands.b.cols + Operands::kSpare;
      const Context context{pool, kernel.family, order};
      gemm_with(*kernel.code, context, rows(operands.a.transposed(), 0, 200).transposed(), rows(operands.b, 0, 200), halves.data(), stride,
                true, 0);
      gemm_with(*kernel.code, context, rows(operands.a.transposed(), 200, 512).transposed(), rows(operands.b, 200, 512), halves.data(),
                stride, true, 0);
      expect_equal_bits(operands.product(kernel, pool, true, 0), halves, kernel.name);
    }
  }
}

TEST(Gemm, EmptyKLeavesZerosOrTheOldValues) {
  ThreadPool pool(2);
  float c[6] = {1, 2, 3, 4, 5, 6};
  const MatrixView a{c, ElementType::f32, 2, 0, 1, 1}, b{c, ElementType::f32, 0, 3, 3, 1};
  gemm({pool, best_family(), Order::fma}, a, b, c, 3, true);
  EXPECT_EQ(c[5], 6);
  gemm({pool, best_family(), Order::fma}, a, b, c, 3, false);
  for (float x : c) EXPECT_EQ(x, 0);
}

TEST(Gemm, TheKernelOfEveryFamilyIsOneItCanRun) {
  ThreadPool pool(2);
  for (Order order : kOrders) {
    const Operands operands(order, Layout::nt, 100, 100, 100, 3);
    for (const Kernel& kernel : kernels(order)) {
      std::vector<float> c = operands.start;
      gemm({pool, kernel.family, order}, operands.a, operands.b, c.data(), 103, false);
      expect_equal_bits(operands.reference(false, 0), c, kernel.name + " as chosen");
    }
  }
}

// The definition of dp2 is the instruction's behaviour: every family must agree with the scalar statement on any operands, among them
// denormals (flushed), infinities, signed zeros and results that overflow or vanish.
TEST(Gemm, Dp2AgreesOnMillionsOfRandomBitPatterns) {
  ThreadPool pool(1);
  std::mt19937_64 random(1);
  constexpr std::int64_t kSize = 256;
  const auto pattern = [&](int kind) {
    const auto bits = static_cast<std::uint16_t>(random());
    if (kind == 0) return bf16{bits};                                                                 // anything
    if (kind == 1) return bf16{static_cast<std::uint16_t>((bits & 0x80ffu) | (random() % 40 << 7))};  // tiny: products vanish
    return bf16{static_cast<std::uint16_t>((bits & 0x807fu) | ((107 + random() % 40) << 7))};         // near 1: sums cancel and round
  };
  for (int round = 0; round < 9; ++round) {
    std::vector<bf16> a(kSize * 2), b(kSize * 2);
    std::vector<float> c(kSize * kSize), want;
    for (bf16& x : a) x = pattern(round % 3);
    for (bf16& x : b) x = pattern(round % 3 == 1 ? static_cast<int>(random() % 3) : round % 3);
    for (float& x : c) x = to_float(pattern(round % 3)) * 1.0001f;
    const MatrixView left = row_major(a.data(), ElementType::bf16, kSize, 2), right = row_major(b.data(), ElementType::bf16, 2, kSize);
    want = c;
    statement::gemm(Order::dp2, left, right, want.data(), kSize, true);
    for (const Kernel& kernel : kernels(Order::dp2)) {
      std::vector<float> got = c;
      gemm_with(*kernel.code, {pool, kernel.family, Order::dp2}, left, right, got.data(), kSize, true, 0);
      for (std::size_t i = 0; i < got.size(); ++i) {
        if (std::isnan(want[i]) && std::isnan(got[i])) continue;
        ASSERT_EQ(std::bit_cast<std::uint32_t>(want[i]), std::bit_cast<std::uint32_t>(got[i]))
            << kernel.name << ": c = " << c[i] << ", a = " << to_float(a[i / kSize * 2]) << ", " << to_float(a[i / kSize * 2 + 1])
            << ", b = " << to_float(b[i % kSize]) << ", " << to_float(b[kSize + i % kSize]);
      }
    }
  }
}

}  // namespace
}  // namespace longhaul::kernels
