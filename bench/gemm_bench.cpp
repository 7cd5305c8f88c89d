// The claim: the ordered matrix product reaches most of the register-only peak of its order, and holds its own against oneDNN, whose
// results depend on thread count and shape. Shapes are those of a GPT-2 124M training step with 4,096 tokens a micro-batch.
//
// Rates are floating-point operations per second of CPU time (all threads added), so that other work on the machine does not count; `busy`
// is CPU time over wall time and threads. Ratios against oneDNN are of CPU time in the same run, alternating.
//
//   gemm_bench [--threads N] [--family avx2|avx512|avx512_bf16] [--order fma|dp2] [--repeat N] [--amx] [--shape SUBSTRING]
#include <omp.h>
#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>
#include <oneapi/dnnl/dnnl.hpp>
#include <random>
#include <string>
#include <vector>

#include "kernels/bf16.h"
#include "kernels/product/gemm.h"
#include "kernels/product/peak.h"

namespace {

using namespace longhaul;
using namespace longhaul::kernels;

struct Shape {
  const char* name;
  std::int64_t m, n, k;
  bool a_transposed, b_transposed, accumulate;
};

// Forward: X[T, in]·Wᵀ with W stored [out, in] (Conv1D of GPT-2 stores [in, out]); input gradient: dY·W; weight gradient: dYᵀ·X, k =
// tokens.
constexpr Shape kShapes[] = {
    {"qkv forward", 4096, 2304, 768, false, true, false},      {"attn-out forward", 4096, 768, 768, false, true, false},
    {"mlp-up forward", 4096, 3072, 768, false, true, false},   {"mlp-down forward", 4096, 768, 3072, false, true, false},
    {"head forward", 512, 50257, 768, false, true, false},     {"qkv d_input", 4096, 768, 2304, false, false, false},
    {"mlp-up d_input", 4096, 768, 3072, false, false, false},  {"mlp-down d_input", 4096, 3072, 768, false, false, false},
    {"head d_input", 512, 768, 50257, false, false, false},    {"qkv d_weight", 2304, 768, 4096, true, false, true},
    {"attn-out d_weight", 768, 768, 4096, true, false, true},  {"mlp-up d_weight", 3072, 768, 4096, true, false, true},
    {"mlp-down d_weight", 768, 3072, 4096, true, false, true}, {"head d_weight", 50257, 768, 512, true, false, true},
    {"small d_weight", 64, 64, 4096, true, false, true},       {"one row forward", 1, 768, 768, false, true, false},
    {"small forward", 256, 256, 64, false, true, false},
};

double process_cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) { return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec); };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

struct Timing {
  double cpu = 1e300, wall = 1e300;
  void measure(const std::function<void()>& work, int inner) {
    const auto begin = std::chrono::steady_clock::now();
    const double cpu_begin = process_cpu_seconds();
    for (int i = 0; i < inner; ++i) work();
    cpu = std::min(cpu, (process_cpu_seconds() - cpu_begin) / inner);
    wall = std::min(wall, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() / inner);
  }
};

std::vector<std::uint8_t> random_matrix(Order order, std::int64_t count) {
  std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(-1, 1);
  const std::size_t size = static_cast<std::size_t>(size_of(operand_type(order)));
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(count) * size);
  for (std::size_t at = 0; at < bytes.size(); at += size) {
    const float x = uniform(random);
    const bf16 rounded = to_bf16(x);
    std::memcpy(&bytes[at], order == Order::fma ? static_cast<const void*>(&x) : &rounded, size);
  }
  return bytes;
}

/// oneDNN's matmul on the same operands, as eager PyTorch calls it (plain layouts, nothing packed beforehand).
class Rival {
 public:
  Rival(Order order, const Shape& shape, MatrixView a, MatrixView b, float* c) : engine_(dnnl::engine::kind::cpu, 0), stream_(engine_) {
    const auto type = order == Order::fma ? dnnl::memory::data_type::f32 : dnnl::memory::data_type::bf16;
    const auto describe = [&](const MatrixView& view) {
      return dnnl::memory::desc({view.rows, view.cols}, type, {view.row_stride, view.col_stride});
    };
    const dnnl::memory::desc c_desc({shape.m, shape.n}, dnnl::memory::data_type::f32, {shape.n, 1});
    dnnl::primitive_attr attributes;
    if (shape.accumulate) {
      dnnl::post_ops sum;
      sum.append_sum(1.0f);
      attributes.set_post_ops(sum);
    }
    const dnnl::matmul::desc description(describe(a), describe(b), c_desc);
    const dnnl::matmul::primitive_desc primitive(description, attributes, engine_);
    implementation = primitive.impl_info_str();
    matmul_ = dnnl::matmul(primitive);
    arguments_ = {{DNNL_ARG_SRC, {describe(a), engine_, const_cast<void*>(a.data)}},
                  {DNNL_ARG_WEIGHTS, {describe(b), engine_, const_cast<void*>(b.data)}},
                  {DNNL_ARG_DST, {c_desc, engine_, c}}};
  }
  void run() {
    matmul_.execute(stream_, arguments_);
    stream_.wait();
  }
  std::string implementation;

 private:
  dnnl::engine engine_;
  dnnl::stream stream_;
  dnnl::matmul matmul_;
  std::unordered_map<int, dnnl::memory> arguments_;
};

void compare(const Context& context, const Shape& shape, int repeat) {
  const ElementType type = operand_type(context.order);
  const auto a_bytes = random_matrix(context.order, shape.m * shape.k), b_bytes = random_matrix(context.order, shape.k * shape.n);
  const MatrixView a = shape.a_transposed ? row_major(a_bytes.data(), type, shape.k, shape.m).transposed()
                                          : row_major(a_bytes.data(), type, shape.m, shape.k);
  const MatrixView b = shape.b_transposed ? row_major(b_bytes.data(), type, shape.n, shape.k).transposed()
                                          : row_major(b_bytes.data(), type, shape.k, shape.n);
  std::vector<float> c(static_cast<std::size_t>(shape.m * shape.n));
  Rival rival(context.order, shape, a, b, c.data());
  const double flops = 2.0 * static_cast<double>(shape.m) * static_cast<double>(shape.n) * static_cast<double>(shape.k);
  const int inner = std::max(1, static_cast<int>(2e9 / flops));
  Timing ours, theirs;
  double peak = 0;  // measured again beside every shape: clocks and neighbours change
  for (int round = 0; round < repeat; ++round) {
    peak = std::max(peak, matmul_peak(context, 0.05));
    ours.measure([&] { gemm(context, a, b, c.data(), shape.n, shape.accumulate); }, inner);
    theirs.measure([&] { rival.run(); }, inner);
  }
  const int threads = context.pool.threads();
  std::printf(
      "%-18s %6ld x %6ld x %6ld  %7.1f GFLOP/s  %5.1f %% of peak  busy %3.0f %%   oneDNN %7.1f   speed over oneDNN: cpu %5.2f wall %5.2f  "
      "(%s)\n",
      shape.name, static_cast<long>(shape.m), static_cast<long>(shape.n), static_cast<long>(shape.k), flops / ours.cpu * threads / 1e9,
      100 * flops / ours.cpu * threads / peak, 100 * ours.cpu / ours.wall / threads, flops / theirs.cpu * threads / 1e9,
      theirs.cpu / ours.cpu, theirs.wall / ours.wall, rival.implementation.c_str());
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  int threads = 1, repeat = 3;
  Family family = best_family();
  Order order = Order::dp2;
  std::string filter;
  bool amx = false;
  for (int i = 1; i < argc; ++i) {
    const std::string option = argv[i];
    if (option == "--amx") {
      amx = true;
      continue;
    }
    if (i + 1 == argc) {
      std::fprintf(stderr, "gemm_bench: %s needs a value\n", option.c_str());
      return 2;
    }
    const std::string value = argv[++i];
    if (option == "--threads") threads = std::stoi(value);
    if (option == "--repeat") repeat = std::stoi(value);
    if (option == "--shape") filter = value;
    if (option == "--order") order = value == "fma" ? Order::fma : Order::dp2;
    if (option == "--family") family = value == "avx2" ? Family::avx2 : value == "avx512" ? Family::avx512 : Family::avx512_bf16;
  }
  // Like against like: without AMX unless asked for, and AVX2 against AVX2.
  const auto isa = family == Family::avx2     ? dnnl::cpu_isa::avx2
                   : family == Family::avx512 ? dnnl::cpu_isa::avx512_core
                                              : dnnl::cpu_isa::avx512_core_bf16;
  if (!amx) dnnl::set_max_cpu_isa(isa);
  omp_set_num_threads(threads);
  ThreadPool pool(threads);
  const Context context{pool, family, order};
  std::printf("%s on %s, %d threads: register-only peak %.1f GFLOP/s\n", std::string(name(order)).c_str(),
              std::string(name(family)).c_str(), threads, matmul_peak(context) / 1e9);
  for (const Shape& shape : kShapes) {
    if (std::string(shape.name).find(filter) != std::string::npos) compare(context, shape, repeat);
  }
  return 0;
}
