#include "kernels/statements/loss_reference.h"

#include <algorithm>
#include <cmath>

#include "kernels/statements/elementary_scalar.h"
#include "kernels/statements/scalar_statement.h"

namespace longhaul::kernels {
namespace {

constexpr std::int64_t kTile = 8192;

struct Partial {
  float max, sum;
};

Partial tile_partial(const float* z, std::int64_t count) {
  const float m = *std::max_element(z, z + count) + 0.0f;
  return {m, sum_of_lanes(count, [&](std::int64_t i) { return scalar::exp(z[i] - m); })};
}

Partial merge(Partial a, Partial b) {
  const float m = std::max(a.max, b.max);
  return {m, std::fma(a.sum, scalar::exp(a.max - m), b.sum * scalar::exp(b.max - m))};
}

// Replaces a row of logits by its gradients, rounded to operand type; returns the loss.
float softmax_row(Order order, float* z, std::int64_t vocab, std::int64_t target, float scale) {
  Partial row = tile_partial(z, std::min(vocab, kTile));
  for (std::int64_t tile = kTile; tile < vocab; tile += kTile) row = merge(row, tile_partial(z + tile, std::min(kTile, vocab - tile)));
  const float loss = (row.max - z[target]) + scalar::log(row.sum);
  const float factor = scale / row.sum;
  for (std::int64_t i = 0; i < vocab; ++i) {
    const float e = scalar::exp(z[i] - row.max);
    z[i] = rounded(order, i == target ? std::fma(e, factor, -scale) : e * factor);
  }
  return loss;
}

}  // namespace

void loss_reference(Order order, const LossShape& shape, const void* x, MatrixView head, const std::int32_t* targets,
                    const std::uint8_t* loss_mask, float scale, float* token_loss, float* d_x, float* d_head) {
  set_floating_point_environment();
  const std::int64_t width = shape.width, vocab = shape.vocab, tokens = shape.tokens;
  const auto head_at = [&](std::int64_t i, std::int64_t j) {
    return load_operand(order, head.data, i * head.row_stride + j * head.col_stride);
  };
  const auto x_at = [&](std::int64_t t, std::int64_t j) { return load_operand(order, x, t * width + j); };
  std::vector<float> z(static_cast<std::size_t>(tokens * vocab));
  const auto z_at = [&](std::int64_t t, std::int64_t i) -> float& { return z[static_cast<std::size_t>(t * vocab + i)]; };
  for (std::int64_t t = 0; t < tokens; ++t) {
    for (std::int64_t i = 0; i < vocab; ++i) {
      z_at(t, i) = chain(
          order, 0, width, [&](std::int64_t j) { return x_at(t, j); }, [&](std::int64_t j) { return head_at(i, j); });
    }
    token_loss[t] = loss_mask[t] != 0 ? softmax_row(order, &z_at(t, 0), vocab, targets[t], scale) : 0.0f;
    if (loss_mask[t] == 0) std::fill_n(&z_at(t, 0), vocab, 0.0f);
    for (std::int64_t j = 0; j < width; ++j) {
      d_x[t * width + j] = chain(
          order, 0, vocab, [&](std::int64_t i) { return z_at(t, i); }, [&](std::int64_t i) { return head_at(i, j); });
    }
  }
  for (std::int64_t i = 0; i < vocab; ++i) {
    for (std::int64_t j = 0; j < width; ++j) {
      float& sum = d_head[i * width + j];
      for (std::int64_t first = 0; first < tokens; first += shape.sequence_length) {  // pairs of tokens restart at each sequence
        sum = chain(
            order, sum, std::min(shape.sequence_length, tokens - first), [&](std::int64_t t) { return z_at(first + t, i); },
            [&](std::int64_t t) { return x_at(first + t, j); });
      }
    }
  }
}

LossDouble loss_double(const LossShape& shape, const std::vector<double>& x, const std::vector<double>& head,
                       const std::vector<std::int32_t>& targets, const std::vector<std::uint8_t>& loss_mask, double scale) {
  const std::size_t width = static_cast<std::size_t>(shape.width), vocab = static_cast<std::size_t>(shape.vocab);
  const std::size_t tokens = static_cast<std::size_t>(shape.tokens);
  LossDouble out{std::vector<double>(tokens, 0.0), std::vector<double>(tokens * width, 0.0), std::vector<double>(vocab * width, 0.0)};
  for (std::size_t t = 0; t < tokens; ++t) {
    if (loss_mask[t] == 0) continue;
    std::vector<double> z(vocab, 0.0);
    for (std::size_t i = 0; i < vocab; ++i) {
      for (std::size_t j = 0; j < width; ++j) z[i] += x[t * width + j] * head[i * width + j];
    }
    const double largest = *std::max_element(z.begin(), z.end());
    double sum = 0;
    for (const double logit : z) sum += std::exp(logit - largest);
    const std::size_t target = static_cast<std::size_t>(targets[t]);
    out.token_loss[t] = std::log(sum) + largest - z[target];
    for (std::size_t i = 0; i < vocab; ++i) {
      const double gradient = scale * (std::exp(z[i] - largest) / sum - (i == target ? 1.0 : 0.0));
      for (std::size_t j = 0; j < width; ++j) {
        out.d_x[t * width + j] += gradient * head[i * width + j];
        out.d_head[i * width + j] += gradient * x[t * width + j];
      }
    }
  }
  return out;
}

}  // namespace longhaul::kernels
