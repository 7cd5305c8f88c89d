#include "machine/measure_kernels.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <utility>

#include "kernels/attention/attention.h"
#include "kernels/loss/loss.h"
#include "kernels/optimizer/optimizer.h"
#include "kernels/product/gemm.h"
#include "kernels/product/peak.h"
#include "kernels/rows/rows.h"
#include "machine/arena.h"
#include "machine/quiet_clock.h"
#include "units/statistics.h"

namespace longhaul::machine {
namespace {

using cluster::Kernel;
using cluster::KernelCall;

/// The calls are measured one after the other, and that several times: what else the machine does in those seconds weighs on all alike.
constexpr int kRounds = 3;
/// Seconds for a call in a round, and how many of a call's are enough.
constexpr double kShare = 0.01, kLongest = 0.2;

/// Memory that is handed out piece by piece, from the start again where a repetition like the last would pass the ring's size. Like the
/// step's arena: huge pages, resident only where used.
class Ring {
 public:
  explicit Ring(bool random) : random_(random), arena_(Bytes(std::int64_t{1} << 34)) {
    take(kSize);
    at_ = 0;
  }
  void begin_repetition() {
    if (at_ + (at_ - begin_) > kSize) at_ = 0;
    begin_ = at_;
  }
  std::byte* take(std::size_t bytes) {
    std::byte* piece = arena_.data() + at_;
    at_ += (bytes + 63) / 64 * 64;
    if (at_ > filled_) fill(arena_.data() + filled_, at_ - filled_), filled_ = at_;
    return piece;
  }

 private:
  /// Half-words that are bf16 numbers of size 2⁻⁷ … 1 with random sign and fraction, alone or in pairs (then fp32); or zeros.
  void fill(std::byte* memory, std::size_t bytes) {
    if (!random_) return static_cast<void>(std::memset(memory, 0, bytes));
    for (std::size_t i = 0; i < bytes; i += 8) {                                 // pieces are multiples of 64
      state_ ^= state_ << 13U, state_ ^= state_ >> 7U, state_ ^= state_ << 17U;  // Marsaglia, Xorshift RNGs (2003)
      const std::uint64_t words = (state_ & 0x837f'837f'837f'837fU) | 0x3c00'3c00'3c00'3c00U;
      std::memcpy(memory + i, &words, sizeof words);
    }
  }
  const std::size_t kSize = 3 * kernels::bandwidth_array_bytes() / 2;  // of two rings: three arrays, twice the last-level cache
  const bool random_;
  std::uint64_t state_ = 1;
  Arena arena_;
  std::size_t begin_ = 0, at_ = 0, filled_ = 0;
};

class Bench {
 public:
  explicit Bench(const kernels::Context& context)
      : context_(context), type_(kernels::operand_type(context.order)), clock_(context.pool.threads()) {}
  /// Of so many runs, one after the other.
  double seconds(const KernelCall& call, std::int64_t runs);
  const QuietClock& clock() const { return clock_; }

 private:
  // A repetition's operands: rows that are read (of operand type, or fp32), and results.
  const void* in(std::int64_t elements) { return read_.take(static_cast<std::size_t>(elements * size_of(type_))); }
  const float* in32(std::int64_t elements) { return reinterpret_cast<const float*>(read_.take(static_cast<std::size_t>(elements) * 4)); }
  void* out(std::int64_t elements) { return written_.take(static_cast<std::size_t>(elements * size_of(type_))); }
  float* out32(std::int64_t elements) { return reinterpret_cast<float*>(written_.take(static_cast<std::size_t>(elements) * 4)); }
  kernels::MatrixView matrix(std::int64_t rows, std::int64_t cols) { return kernels::row_major(in(rows * cols), type_, rows, cols); }

  void run(const KernelCall& call);
  void gemm(Kernel kernel, std::int64_t m, std::int64_t n, std::int64_t k);
  void attention(const kernels::AttentionShape& shape, bool backward);
  void loss(std::int64_t tokens, std::int64_t width, std::int64_t vocab);
  void norm(kernels::NormKind kind, bool backward, std::int64_t tokens, std::int64_t width);
  void heads(bool rotary, bool backward, const kernels::HeadShape& shape);
  void adamw(std::int64_t count, bool average);
  const std::int32_t* zeros(std::int64_t count) {
    if (std::ssize(zeros_) < count) zeros_.resize(static_cast<std::size_t>(count));
    return zeros_.data();
  }
  /// Rows of a table of `count` rows, in no order.
  const std::int32_t* scattered(std::int64_t count) {
    if (std::ssize(tokens_) != count) {
      tokens_.resize(static_cast<std::size_t>(count));
      for (std::int64_t i = 0; i < count; ++i) tokens_[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(i * 40503 % count);
    }
    return tokens_.data();
  }

  const kernels::Context& context_;
  const ElementType type_;
  QuietClock clock_;
  Ring read_{true}, written_{false};
  std::vector<std::int32_t> zeros_, tokens_;
  std::vector<std::uint8_t> mask_;
};

void Bench::gemm(Kernel kernel, std::int64_t m, std::int64_t n, std::int64_t k) {
  const bool transposed = kernel == Kernel::gemm_tn;
  const kernels::MatrixView a = transposed ? matrix(k, m).transposed() : matrix(m, k);
  const kernels::MatrixView b = kernel == Kernel::gemm_nt ? matrix(n, k).transposed() : matrix(k, n);
  kernels::gemm(context_, a, b, out32(m * n), n, transposed);
}

void Bench::attention(const kernels::AttentionShape& s, bool backward) {
  const std::int64_t n = s.sequences * s.sequence_length, q = n * s.heads * s.head_dim, kv = n * s.kv_heads * s.head_dim;
  const int threads = context_.pool.threads();
  const void *query = in(q), *key = in(kv), *value = in(kv);
  if (!backward) {
    void* workspace = written_.take(kernels::attention_forward_workspace(s, context_.order, threads));
    kernels::attention_forward(context_, s, query, key, value, zeros(n), out(q), out32(n * s.heads), out32(n * s.heads), workspace);
    return;
  }
  void* workspace = written_.take(kernels::attention_backward_workspace(s, context_.order, threads));
  kernels::attention_backward(context_, s, query, key, value, in(q), in32(q), in32(n * s.heads), in32(n * s.heads), zeros(n), out32(q),
                              out32(kv), out32(kv), workspace);
}

void Bench::loss(std::int64_t tokens, std::int64_t width, std::int64_t vocab) {
  const kernels::LossShape shape{tokens, width, vocab, tokens, tokens};
  mask_.assign(static_cast<std::size_t>(tokens), 1);
  void* workspace = written_.take(kernels::loss_workspace(shape, context_.order, context_.pool.threads(), true));
  kernels::loss_forward_backward(context_, shape, in(tokens * width), matrix(vocab, width), zeros(tokens), mask_.data(),
                                 1.0F / static_cast<float>(tokens), out32(tokens), out32(tokens * width), out32(vocab * width), workspace);
}

void Bench::norm(kernels::NormKind kind, bool backward, std::int64_t tokens, std::int64_t width) {
  const kernels::NormShape shape{kind, tokens, width, 1e-5F};
  const std::int64_t n = tokens * width;
  const bool bias = kind == kernels::NormKind::layer_norm;
  if (!backward) {
    kernels::norm_forward(context_, shape, in32(n), in32(width), bias ? in32(width) : nullptr, out(n), out32(2 * tokens));
    return;
  }
  float* d_x = out32(n);
  kernels::norm_backward(context_, shape, in32(n), in32(n), in32(width), in32(2 * tokens), d_x, d_x, out32(width),
                         bias ? out32(width) : nullptr);
}

void Bench::heads(bool rotary, bool backward, const kernels::HeadShape& s) {
  const std::int64_t q = s.tokens * s.heads * s.head_dim, kv = s.tokens * s.kv_heads * s.head_dim, n = s.tokens * s.row();
  const std::int32_t* positions = zeros(s.tokens);  // row 0 of the rotation tables
  kernels::HeadOptions options;
  if (rotary)
    options.cosine = in32(s.head_dim / 2), options.sine = in32(s.head_dim / 2);
  else
    options.bias = in32(s.row());
  if (backward)
    kernels::heads_backward(context_, s, options, nullptr, nullptr, positions, in32(q), in32(kv), in32(kv), out32(n), nullptr, nullptr);
  else
    kernels::heads_forward(context_, s, options, out32(n), positions, out(q), out(kv), out(kv), nullptr);
}

void Bench::adamw(std::int64_t count, bool average) {
  const kernels::AdamWScalars scalars{0.9F, 0.1F, 0.95F, 0.05F, 1.0F, 1.0F, 1e-4F, 1e-5F, 1e-8F, 1.0F};
  float *weight = out32(count), *moment1 = out32(count), *moment2 = out32(count), *kept = average ? out32(count) : nullptr;
  auto* copy = type_ == ElementType::bf16 ? static_cast<kernels::bf16*>(out(count)) : nullptr;
  kernels::adamw(context_, scalars, weight, moment1, moment2, in32(count), copy, kept, 0.999F, 0.001F, count);
}

void Bench::run(const KernelCall& call) {
  const auto& s = call.shape;
  const std::int64_t n = s[0] * s[1];
  switch (call.kernel) {
    case Kernel::gemm_nn:
    case Kernel::gemm_nt:
    case Kernel::gemm_tn:
      return gemm(call.kernel, s[0], s[1], s[2]);
    case Kernel::attention_forward:
    case Kernel::attention_backward:
      return attention({s[0], s[1], s[2], s[3], s[4]}, call.kernel == Kernel::attention_backward);
    case Kernel::loss:
      return loss(s[0], s[1], s[2]);
    case Kernel::rms_norm_forward:
    case Kernel::rms_norm_backward:
      return norm(kernels::NormKind::rms_norm, call.kernel == Kernel::rms_norm_backward, s[0], s[1]);
    case Kernel::layer_norm_forward:
    case Kernel::layer_norm_backward:
      return norm(kernels::NormKind::layer_norm, call.kernel == Kernel::layer_norm_backward, s[0], s[1]);
    case Kernel::heads_forward:
    case Kernel::heads_backward:
      return heads(false, call.kernel == Kernel::heads_backward, {s[0], s[1], s[2], s[3]});
    case Kernel::rotary_heads_forward:
    case Kernel::rotary_heads_backward:
      return heads(true, call.kernel == Kernel::rotary_heads_backward, {s[0], s[1], s[2], s[3]});
    case Kernel::gelu_forward:
      return kernels::gelu_forward(context_, out32(n), in32(s[1]), out(n), s[0], s[1]);
    case Kernel::gelu_backward: {
      float* d_y = out32(n);
      return kernels::gelu_backward(context_, d_y, in32(n), d_y, n);
    }
    case Kernel::swiglu_forward:
      return kernels::swiglu_forward(context_, in32(n), in32(n), out(n), n);
    case Kernel::swiglu_backward:
      return kernels::swiglu_backward(context_, in32(n), in32(n), in32(n), out(n), out(n), n);
    case Kernel::residual: {
      float* y = out32(n);
      return kernels::add_bias_residual(context_, y, in32(s[1]), in32(n), y, s[0], s[1]);
    }
    case Kernel::bias_backward:
      return kernels::bias_backward(context_, in32(n), s[1], out32(s[1]), s[0], s[1]);
    case Kernel::round_to_operand:
      return kernels::round_to_operand(context_, in32(n), out(n), n);
    case Kernel::embed_forward:
      return kernels::embed_forward(context_, scattered(s[0]), nullptr, in32(n), nullptr, out32(n), s[0], s[1]);
    case Kernel::embed_backward:
      return kernels::embed_backward(context_, scattered(s[0]), nullptr, in32(n), out32(n), nullptr, s[0], s[1]);
    case Kernel::zero:
      return kernels::zero(context_, out32(s[0]), s[0]);
    case Kernel::add:
      return kernels::add_into(context_, out32(s[0]), in32(s[0]), s[0]);
    case Kernel::sum_of_squares:
      kernels::sum_of_squares(context_, in32(s[0]), s[0]);
      return;
    case Kernel::adamw:
    case Kernel::adamw_average:
      return adamw(s[0], call.kernel == Kernel::adamw_average);
  }
}

double Bench::seconds(const KernelCall& call, std::int64_t runs) {
  clock_.start();
  for (std::int64_t i = 0; i < runs; ++i) {
    read_.begin_repetition();
    written_.begin_repetition();
    run(call);
  }
  return clock_.seconds();
}

/// What a call took, over the rounds.
struct Samples {
  KernelCall call;
  std::int64_t runs = 1;        ///< of one timing: as many as make the clock's readings small
  std::vector<double> times{};  ///< of one run, the mean of each timing
  double total = 0;             ///< seconds spent on it

  void warm_up(Bench& bench) {
    while (!bench.clock().enough_for(bench.seconds(call, runs))) runs *= 2;
  }
  void add(Bench& bench) {
    const double seconds = bench.seconds(call, runs);
    total += seconds;
    times.push_back(seconds / static_cast<double>(runs));
  }
};

}  // namespace

KernelCall measurable(const KernelCall& call) {
  const bool product = call.kernel <= Kernel::attention_backward;
  return cluster::at_most(call, product ? 3e9 : call.kernel == Kernel::loss ? 1e10 : 2e7);
}

cluster::KernelRates measure_kernels(const kernels::Context& context, const std::vector<KernelCall>& calls, const Watch& watch) {
  Bench bench(context);
  std::vector<Samples> all;
  for (const KernelCall& call : std::set<KernelCall>(calls.begin(), calls.end())) all.push_back({call});
  for (int round = 0; round < kRounds; ++round)
    for (Samples& samples : all) {
      if (watch.enough && watch.enough()) break;
      watch.progress(fmt::format("measuring kernels, round {} of {}: {}", round + 1, kRounds, cluster::info(samples.call.kernel).name));
      if (round == 0) samples.warm_up(bench);
      if (samples.total > kLongest) continue;
      const double until = samples.total + kShare;
      do samples.add(bench);
      while (samples.total < until);
    }
  cluster::KernelRates rates;
  for (const Samples& samples : all)
    if (!samples.times.empty()) rates.add({samples.call, Seconds(median(samples.times))});
  return rates;
}

Seconds measuring_time(std::size_t calls) {
  // Of a call, a warm-up and kRounds shares, each longer by up to one timing: seen, 0.05 s on average. The memory: 0.5 s.
  return Seconds(0.5 + 0.06 * static_cast<double>(calls));
}

std::vector<KernelCall> calibration_calls() {
  std::vector<KernelCall> calls;
  using Pair = std::pair<std::int64_t, std::int64_t>;
  for (Kernel gemm : {Kernel::gemm_nn, Kernel::gemm_nt, Kernel::gemm_tn})
    for (std::int64_t tokens : {256, 1024, 4096})
      for (const auto& [one, other] : {Pair{192, 192}, {192, 768}, {768, 192}, {768, 768}, {768, 3072}, {3072, 768}})
        calls.push_back(gemm == Kernel::gemm_tn ? KernelCall{gemm, {one, other, tokens, 1, 1}}
                                                : KernelCall{gemm, {tokens, one, other, 1, 1}});
  for (Kernel attention : {Kernel::attention_forward, Kernel::attention_backward})
    for (std::int64_t length : {128, 512, 2048})
      for (std::int64_t head_dim : {32, 64, 128})
        for (const auto& [heads, kv_heads] : {Pair{4, 4}, {4, 2}})
          if (heads == kv_heads || head_dim == 64) calls.push_back({attention, {2, length, heads, kv_heads, head_dim}});
  for (std::int64_t width : {192, 768})
    for (const auto& [tokens, vocab] : {Pair{128, 4096}, {512, 4096}, {2048, 4096}, {128, 32768}, {512, 32768}})
      calls.push_back({Kernel::loss, {tokens, width, vocab, 1, 1}});
  for (int i = 0; i < cluster::kKernels; ++i) {
    const auto kernel = static_cast<Kernel>(i);
    const std::size_t axes = cluster::info(kernel).axes.size();
    if (kernel <= Kernel::loss) continue;
    for (std::int64_t tokens : {256, 2048, 16384}) {
      if (axes == 4) calls.push_back({kernel, {tokens, 8, 8, 64, 1}});
      if (axes == 2) calls.push_back({kernel, {tokens, 768, 1, 1, 1}});
      if (axes == 1) calls.push_back({kernel, {tokens * 1024, 1, 1, 1, 1}});
    }
  }
  return calls;
}

}  // namespace longhaul::machine
