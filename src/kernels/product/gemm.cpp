// The driver: which blocks of A and B are packed when, and how the tiles of C are handed to threads.
//
// For each block of N, for each block of K, for each block of M: all threads pack, then all threads multiply. K is cut only in time, never
// among threads: a chain that is not finished waits as fp32 in C, which is exact. Blocks are even (a remainder would leave threads idle).
#include "kernels/product/gemm.h"

#include <sys/mman.h>

#include <algorithm>
#include <cassert>
#include <chrono>
#include <cmath>
#include <memory>
#include <new>

#include "kernels/bf16.h"
#include "kernels/product/gemm_family.h"
#include "kernels/product/peak_family.h"

namespace longhaul::kernels {
namespace {

// Packed blocks: A of about 448 rows, B of about 1,536 columns, 1,024 steps deep. An element of B is packed once in all, one of A once per
// block of N, so it serves 1,536 multiply-adds (2–3 % of the time goes into packing); C is read and written once per 1,024 steps.
constexpr std::int64_t kBlockSteps = 1024, kLongestBlock = 4 * kBlockSteps;
constexpr std::int64_t kSlackWords = 4096;
constexpr std::int64_t kWordsOfA = 448 * kBlockSteps + kSlackWords, kWordsOfB = 1536 * kBlockSteps + kSlackWords;
// Below this many multiply-adds (about 10 µs of one thread) waking others costs more than it brings.
constexpr double kSerialWork = 1e6;

struct Unmap {
  void operator()(float* words) const { munmap(words, (kWordsOfA + kWordsOfB) * sizeof(float)); }
};

/// The packed blocks of A and B of one calling thread, allocated at its first product and kept.
float* packed_blocks() {
  thread_local std::unique_ptr<float, Unmap> words = [] {
    constexpr std::size_t kBytes = (kWordsOfA + kWordsOfB) * sizeof(float);
    void* address = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (address == MAP_FAILED) throw std::bad_alloc();
    madvise(address, kBytes, MADV_HUGEPAGE);
    return std::unique_ptr<float, Unmap>(static_cast<float*>(address));
  }();
  return words.get();
}

constexpr std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/// [begin, end) of part `i` of `parts` nearly equal parts of n.
struct Range {
  std::int64_t begin, end;
  std::int64_t size() const { return end - begin; }
};
Range part(std::int64_t n, std::int64_t parts, std::int64_t i) { return {n * i / parts, n * (i + 1) / parts}; }

/// Where pairs lie along k: `unit` u of [0, units()) starts at element begin(u). Without restarts a unit is elements 2u, 2u + 1 (fma: u).
struct Units {
  std::int64_t k, elements, segment;  ///< elements of a unit; elements of a segment (k when pairs never restart)

  std::int64_t per_segment() const { return divide_up(segment, elements); }
  std::int64_t count() const { return k / segment * per_segment() + divide_up(k % segment, elements); }
  std::int64_t begin(std::int64_t unit) const { return unit / per_segment() * segment + unit % per_segment() * elements; }
};

Units units_of(Order order, std::int64_t k, std::int64_t k_restart) {
  if (order == Order::fma) return {k, 1, k};
  const bool restarts = k_restart > 0 && k_restart % 2 == 1 && k_restart < k;
  return {k, 2, restarts ? k_restart : k};
}

/// One side of the product as the packing sees it: `extent` rows (of A, or columns of B), panels of `width`.
struct Side {
  const void* data;
  std::int64_t extent, i_stride, k_stride;
  int width;
  std::int64_t panels() const { return divide_up(extent, width); }
};

struct Problem {
  const GemmKernel& kernel;
  Units units;
  Side a, b;
  float* c;
  std::int64_t c_stride;
  bool accumulate;
};

/// Packs units [range) of panels [first, first + panels) of a side, segment by segment.
void pack_panels(const Problem& problem, const Side& side, Range range, std::int64_t first, int panels, float* out,
                 std::int64_t panel_stride) {
  const Units& units = problem.units;
  for (std::int64_t unit = range.begin; unit < range.end;) {
    const std::int64_t end = std::min(range.end, (unit / units.per_segment() + 1) * units.per_segment());
    const std::int64_t k0 = units.begin(unit);
    const std::int64_t segment_end = std::min(units.k, (k0 / units.segment + 1) * units.segment);
    const std::int64_t k_count = std::min((end - unit) * units.elements, segment_end - k0);
    float* first_step = out + (unit - range.begin) * problem.kernel.steps_per_unit * side.width;
    problem.kernel.pack({side.data, side.i_stride, side.k_stride, side.extent, first * side.width, k0, k_count, side.width, panels,
                         first_step, panel_stride});
    unit = end;
  }
}

/// How one side is cut: blocks of panels that fit the packed block.
struct Blocks {
  std::int64_t panels, count;
  Range at(std::int64_t i) const { return part(panels, count, i); }
};
Blocks blocks_of(const Side& side, std::int64_t steps, std::int64_t words) {
  const std::int64_t fit = words / (steps * side.width + kPanelSlack);
  return {side.panels(), divide_up(side.panels(), fit)};
}

/// Tasks along each side: about 108 × 144 of C, whose operands fit the second-level cache, or less to keep all threads equally busy.
struct Grid {
  std::int64_t a_tasks, b_tasks;
};
Grid grid_of(std::int64_t a_panels, std::int64_t b_panels, const Problem& problem, int threads) {
  std::int64_t a_group = std::clamp<std::int64_t>(108 / problem.a.width, 1, a_panels);
  std::int64_t b_group = std::clamp<std::int64_t>(144 / problem.b.width, 1, b_panels);
  const auto tasks = [&] { return divide_up(a_panels, a_group) * divide_up(b_panels, b_group); };
  while (tasks() < 6 * threads && a_group * b_group > 1) {
    const bool a_is_larger = a_group * problem.a.width >= b_group * problem.b.width;
    std::int64_t& group = b_group == 1 || (a_is_larger && a_group > 1) ? a_group : b_group;
    group = divide_up(group, 2);
  }
  return {divide_up(a_panels, a_group), divide_up(b_panels, b_group)};
}

/// What lies in a packed block: block index along its side and along k.
struct Packed {
  std::int64_t block = -1, k_block = -1;
};

class Driver {
 public:
  Driver(ThreadPool& pool, const Problem& problem, bool serial)
      : pool_(pool), problem_(problem), threads_(serial ? 1 : pool.threads()), words_(packed_blocks()) {
    const std::int64_t units = problem.units.count(), per_unit = problem.kernel.steps_per_unit;
    // Small outputs have room for deeper blocks, that is fewer phases.
    const auto deepest = [](const Side& side, std::int64_t words) { return words / (side.panels() * side.width) - kPanelSlack; };
    const std::int64_t room = std::min(deepest(problem.a, kWordsOfA), deepest(problem.b, kWordsOfB));
    k_blocks_ = divide_up(units, std::clamp(room, kBlockSteps, kLongestBlock) / per_unit);
    steps_ = divide_up(units, k_blocks_) * per_unit;
    a_blocks_ = blocks_of(problem.a, steps_, kWordsOfA);
    b_blocks_ = blocks_of(problem.b, steps_, kWordsOfB);
  }

  void run() {
    for (std::int64_t j = 0; j < b_blocks_.count; ++j) {
      for (std::int64_t k = 0; k < k_blocks_; ++k) {
        for (std::int64_t i = 0; i < a_blocks_.count; ++i) {
          pack(i, j, k);
          multiply(i, j, k);
        }
      }
    }
  }

 private:
  std::int64_t stride(const Side& side) const { return steps_ * side.width + kPanelSlack; }
  float* packed_a() const { return words_; }
  float* packed_b() const { return words_ + kWordsOfA; }

  template <typename Task>
  void for_each(std::int64_t count, const Task& task) {
    if (threads_ == 1) {
      for (std::int64_t index = 0; index < count; ++index) task(index);
    } else {
      pool_.run(count, [&](std::int64_t index, int) { task(index); });
    }
  }

  void pack(std::int64_t i, std::int64_t j, std::int64_t k) {
    const bool new_a = a_packed_.block != i || a_packed_.k_block != k, new_b = b_packed_.block != j || b_packed_.k_block != k;
    const Range a = a_blocks_.at(i), b = b_blocks_.at(j), units = part(problem_.units.count(), k_blocks_, k);
    // Groups of about 128 rows: where rows are contiguous along i, a step then reads whole cache lines.
    const std::int64_t a_tasks = new_a ? group_count(a.size(), problem_.a.width) : 0,
                       b_tasks = new_b ? group_count(b.size(), problem_.b.width) : 0;
    for_each(a_tasks + b_tasks, [&](std::int64_t task) {
      const bool is_a = task < a_tasks;
      const Side& side = is_a ? problem_.a : problem_.b;
      const Range& all = is_a ? a : b;
      const Range group = part(all.size(), is_a ? a_tasks : b_tasks, is_a ? task : task - a_tasks);
      float* out = (is_a ? packed_a() : packed_b()) + group.begin * stride(side);
      pack_panels(problem_, side, units, all.begin + group.begin, static_cast<int>(group.size()), out, stride(side));
    });
    a_packed_ = {i, k};
    b_packed_ = {j, k};
  }

  std::int64_t group_count(std::int64_t panels, int width) const {
    return std::min(panels, std::max<std::int64_t>(divide_up(panels * width, 128), threads_));
  }

  void multiply(std::int64_t i, std::int64_t j, std::int64_t k) {
    const Range a = a_blocks_.at(i), b = b_blocks_.at(j), units = part(problem_.units.count(), k_blocks_, k);
    const Grid grid = grid_of(a.size(), b.size(), problem_, threads_);
    for_each(grid.a_tasks * grid.b_tasks, [&](std::int64_t task) {
      const Range rows = part(a.size(), grid.a_tasks, task / grid.b_tasks), cols = part(b.size(), grid.b_tasks, task % grid.b_tasks);
      const std::int64_t row = (a.begin + rows.begin) * problem_.a.width, col = (b.begin + cols.begin) * problem_.b.width;
      ProductJob job{};
      job.a = packed_a() + rows.begin * stride(problem_.a);
      job.b = packed_b() + cols.begin * stride(problem_.b);
      job.a_stride = stride(problem_.a), job.b_stride = stride(problem_.b);
      job.a_width = problem_.a.width, job.b_width = problem_.b.width;
      job.rows = std::min(rows.size() * problem_.a.width, problem_.a.extent - row);
      job.cols = std::min(cols.size() * problem_.b.width, problem_.b.extent - col);
      job.steps = units.size() * problem_.kernel.steps_per_unit;
      job.c = problem_.c + row * problem_.c_stride + col;
      job.c_stride = problem_.c_stride;
      job.from_zero = k == 0 && !problem_.accumulate;
      problem_.kernel.product(job);
    });
  }

  ThreadPool& pool_;
  const Problem& problem_;
  int threads_;
  float* words_;
  std::int64_t k_blocks_ = 0, steps_ = 0;
  Blocks a_blocks_{}, b_blocks_{};
  Packed a_packed_, b_packed_;
};

}  // namespace

std::size_t gemm_workspace_bytes() { return (kWordsOfA + kWordsOfB) * sizeof(float); }

void gemm(const Context& context, MatrixView a, MatrixView b, float* c, std::int64_t c_stride, bool accumulate, std::int64_t k_restart) {
  gemm_with(gemm_kernel(context.family, context.order), context, a, b, c, c_stride, accumulate, k_restart);
}

void gemm_with(const GemmKernel& kernel, const Context& context, MatrixView a, MatrixView b, float* c, std::int64_t c_stride,
               bool accumulate, std::int64_t k_restart) {
  assert(a.cols == b.rows && a.dtype == operand_type(context.order) && b.dtype == a.dtype);
  assert((a.row_stride == 1 || a.col_stride == 1) && (b.row_stride == 1 || b.col_stride == 1));
  const std::int64_t m = a.rows, n = b.cols, k = a.cols;
  if (m == 0 || n == 0) return;
  if (k == 0) {
    for (std::int64_t i = 0; i < m && !accumulate; ++i) std::fill_n(c + i * c_stride, n, 0.0f);
    return;
  }
  set_floating_point_environment();
  // Equal panels: 64 rows are 8 of 8, not 7 of 9 and one of 1; 64 columns are 2 of 32.
  const int a_width = static_cast<int>(divide_up(m, divide_up(m, kernel.a_width)));
  const int b_width = static_cast<int>(divide_up(divide_up(n, divide_up(n, kernel.b_width)), 16) * 16);
  const Problem problem{kernel,
                        units_of(context.order, k, k_restart),
                        {a.data, m, a.row_stride, a.col_stride, a_width},
                        {b.data, n, b.col_stride, b.row_stride, b_width},
                        c,
                        c_stride,
                        accumulate};
  const bool serial = static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k) < kSerialWork;
  Driver(context.pool, problem, serial).run();
}

/// The best of a few slices of some 50 µs each.
bool native_pairs_pay() {
  static const bool pay = [] {
    const auto fastest = [](const auto& chains) {
      double best = 1e9;
      for (int slice = 0; slice < 5; ++slice) {
        float keep = 0;
        const auto begin = std::chrono::steady_clock::now();
        const double flops = chains(2000, &keep);
        const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
        best = std::min(best, seconds / flops + static_cast<double>(keep));  // keep is 0
      }
      return best;
    };
    return fastest(avx512_bf16::peak_table.dp2) < fastest(avx512_bf16::peak_table.fma);
  }();
  return pay;
}

const GemmKernel& gemm_kernel(Family family, Order order) {
  const bool emulate = family == Family::avx512_bf16 && order == Order::dp2 && !native_pairs_pay();
  const GemmTable& table = LONGHAUL_FAMILY_SELECT(emulate ? Family::avx512 : family, gemm_table);
  return order == Order::fma ? table.fma : table.dp2;
}

}  // namespace longhaul::kernels
