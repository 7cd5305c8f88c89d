#include "kernels/loss/loss.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "kernels/loss/loss_family.h"
#include "units/error.h"

namespace longhaul::kernels {
namespace {

/// Weight-gradient chains shorter than this spend their time loading and storing the accumulators.
constexpr std::int64_t kMinimumBlock = 64;

// Floats from one row of logits to the next: whole cache lines, so that rows handled by different threads share none.
std::int64_t row_floats(std::int64_t vocab) { return (vocab + 15) / 16 * 16; }

// Tokens per block so that no pair of tokens is split: whole sequences, or an even part of one.
std::int64_t effective_block(const LossShape& shape) {
  const std::int64_t block = std::min(std::max<std::int64_t>(shape.block_tokens, 1), shape.tokens);
  if (block >= shape.sequence_length) return block / shape.sequence_length * shape.sequence_length;
  return std::min(std::max<std::int64_t>(block / 2 * 2, 2), shape.sequence_length);
}

// Calls f(first token, tokens) for each block; a block that is less than a sequence never reaches into the next one.
template <typename F>
void for_each_block(const LossShape& shape, F f) {
  const std::int64_t block = effective_block(shape), span = std::max(block, shape.sequence_length);
  for (std::int64_t sequence = 0; sequence < shape.tokens; sequence += span) {
    const std::int64_t end = std::min(sequence + span, shape.tokens);
    for (std::int64_t first = sequence; first < end; first += block) f(first, std::min(block, end - first));
  }
}

void check_targets(const LossShape& shape, const std::int32_t* targets, const std::uint8_t* loss_mask) {
  for (std::int64_t t = 0; t < shape.tokens; ++t) {
    if (loss_mask[t] != 0 && (targets[t] < 0 || targets[t] >= shape.vocab)) {
      throw DataError("target " + std::to_string(targets[t]) + " of token " + std::to_string(t) + " is outside the vocabulary of " +
                      std::to_string(shape.vocab) + ": the dataset was made with another tokenizer than the model's");
    }
  }
}

struct Job {
  const Context& context;
  const LossShape& shape;
  const void* x;
  MatrixView head;
  const std::int32_t* targets;
  const std::uint8_t* loss_mask;
  float* token_loss;
  float* logits;

  MatrixView x_block(std::int64_t first, std::int64_t count) const {
    const ElementType type = operand_type(context.order);
    return row_major(static_cast<const std::uint8_t*>(x) + first * shape.width * size_of(type), type, count, shape.width);
  }
  // The rows of logits once they are gradients of operand type.
  MatrixView gradient_block(std::int64_t count) const {
    const ElementType type = operand_type(context.order);
    return {logits, type, count, shape.vocab, row_floats(shape.vocab) * (size_of(ElementType::f32) / size_of(type)), 1};
  }

  // Logits of a block, then its losses and, with a scale, its gradients in place.
  void softmax_block(std::int64_t first, std::int64_t count, const float* scale) const {
    const std::int64_t stride = row_floats(shape.vocab);
    gemm(context, x_block(first, count), head.transposed(), logits, stride, false);
    const LossTable& table = LONGHAUL_FAMILY_SELECT(context.family, loss_table);
    const ElementType type = operand_type(context.order);
    const std::int64_t rows = std::max<std::int64_t>(1, 4 * kVocabularyTile / shape.vocab);  // a task of some tens of microseconds
    context.pool.run((count + rows - 1) / rows, [&](std::int64_t task, int) {
      for (std::int64_t row = task * rows; row < std::min(count, (task + 1) * rows); ++row) {
        float* z = logits + row * stride;
        const std::int64_t token = first + row;
        if (loss_mask[token] == 0) {
          token_loss[token] = 0.0f;
          if (scale != nullptr) std::memset(z, 0, static_cast<std::size_t>(shape.vocab * size_of(type)));
          continue;
        }
        const LossRow result = table.forward(z, shape.vocab, targets[token]);
        token_loss[token] = result.loss;
        if (scale != nullptr) table.backward(z, shape.vocab, targets[token], result, *scale, type);
      }
    });
  }
};

}  // namespace

std::int64_t loss_block_tokens(std::int64_t vocab, std::int64_t sequence_length, std::size_t budget_bytes) {
  const std::int64_t fits = static_cast<std::int64_t>(budget_bytes / sizeof(float)) / row_floats(vocab);
  const std::int64_t limit = std::max(fits, std::min(kMinimumBlock, sequence_length));
  if (limit >= sequence_length) return limit / sequence_length * sequence_length;
  const std::int64_t even = limit / 2 * 2, blocks = (sequence_length + even - 1) / even;
  return ((sequence_length + blocks - 1) / blocks + 1) / 2 * 2;  // parts of a sequence as equal as even numbers allow
}

std::size_t loss_workspace(const LossShape& shape, Order /*order*/, int /*threads*/, bool /*backward*/) {
  return static_cast<std::size_t>(effective_block(shape) * row_floats(shape.vocab)) * sizeof(float);
}

void loss_forward_backward(const Context& context, const LossShape& shape, const void* x, MatrixView head, const std::int32_t* targets,
                           const std::uint8_t* loss_mask, float scale, float* token_loss, float* d_x, float* d_head, void* workspace) {
  check_targets(shape, targets, loss_mask);
  const Job job{context, shape, x, head, targets, loss_mask, token_loss, static_cast<float*>(workspace)};
  for_each_block(shape, [&](std::int64_t first, std::int64_t count) {
    job.softmax_block(first, count, &scale);
    const MatrixView gradient = job.gradient_block(count);
    gemm(context, gradient, head, d_x + first * shape.width, shape.width, false);
    const std::int64_t restart = count > shape.sequence_length ? shape.sequence_length : 0;  // a block within a sequence begins on a pair
    gemm(context, gradient.transposed(), job.x_block(first, count), d_head, shape.width, true, restart);
  });
}

void loss_forward(const Context& context, const LossShape& shape, const void* x, MatrixView head, const std::int32_t* targets,
                  const std::uint8_t* loss_mask, float* token_loss, void* workspace) {
  check_targets(shape, targets, loss_mask);
  const Job job{context, shape, x, head, targets, loss_mask, token_loss, static_cast<float*>(workspace)};
  for_each_block(shape, [&](std::int64_t first, std::int64_t count) { job.softmax_block(first, count, nullptr); });
}

}  // namespace longhaul::kernels
