// train/inference.h — logits of a batch, row by row: generation, and whatever compares this program with another.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "data/batch.h"
#include "train/engine.h"

namespace longhaul::train {

/// Runs forward programs in the engine's arena; keeps one per length (a multiple of 32, so that a growing text needs few).
class Inference {
 public:
  explicit Inference(Engine& engine) : engine_(engine) {}

  /// Logits [batch.sequence_length − first_row, vocab] of a batch of one sequence, rows from first_row on, fp32.
  /// @throws UsageError when the sequence is longer than the run's batch.sequence_length
  std::vector<float> logits(const data::Batch& batch, std::int64_t first_row);
  /// Logits after the last of `tokens`, [vocab].
  std::vector<float> next_logits(const std::vector<std::int32_t>& tokens);

 private:
  struct Forward {
    program::Program program;
    std::unique_ptr<Executor> executor;
  };
  Executor& forward_of(std::int64_t length);

  Engine& engine_;
  std::map<std::int64_t, Forward> forwards_;
};

/// How the next token is drawn. temperature 0: the likeliest. top_k 0: all; top_p 1: all.
struct Sampling {
  double temperature = 0.8;
  std::int64_t top_k = 0;
  double top_p = 0.95;
  std::uint64_t seed = 0;
};
/// Draws a token from softmax(logits / temperature) cut to top_k and top_p; a pure function of (logits, seed, position).
std::int32_t sample(const std::vector<float>& logits, const Sampling& how, std::int64_t position);

}  // namespace longhaul::train
