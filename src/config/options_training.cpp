// The rows of the option table for [data], [batch], [optimizer], [schedule], [precision] and [parallel]. Columns: config/options.h.
#include "config/option_rows.h"

namespace longhaul::config {

namespace {
constexpr double kLargestSize = 1 << 26;  // of one axis; as in model/spec.cpp
}  // namespace

std::span<const Option> training_options() {
  static constexpr Option kRows[] = {
      {"data", "directory", Kind::path, "", "data", "", "", kNone, kNone, kNoBits, "A prepared dataset (longhaul data prepare).",
       [](RunConfig& c) { return Field(&c.data.directory); }},
      {"data", "isolate_documents", Kind::boolean, "", "true", "", "", kNone, kNone, kReachesBits,
       "No attention and no target across the boundary of two documents; positions restart.",
       [](RunConfig& c) { return Field(&c.data.isolate_documents); }},
      {"batch", "sequence_length", Kind::integer, "tokens", "", "position_rows if the model says so, at most 4096; else 1024", "", 1,
       kLargestSize, kReachesBits, "Tokens of a sequence.", [](RunConfig& c) { return Field(&c.batch.sequence_length); }},
      {"batch", "micro_batch", Kind::integer, "sequences", "1", "", "", 1, kLargestSize, kNoBits,
       "Sequences computed at a time. Reaches memory and speed, no bit.", [](RunConfig& c) { return Field(&c.batch.micro_batch); }},
      {"batch", "global_batch", Kind::integer, "sequences", "8", "", "", 1, kLargestSize, kReachesBits,
       "Sequences of one optimizer step; a multiple of micro_batch.", [](RunConfig& c) { return Field(&c.batch.global_batch); }},
      {"batch", "virtual_ranks", Kind::integer, "", "", "the largest power of two, at most 8, that divides the micro-batches of a step", "",
       0, kLargestSize, kReachesBits,
       "V: parts of the batch whose gradients are summed on their own and then by a tree; fixes the order of sums for any number of ranks "
       "up to V. Divides the micro-batches of a step.",
       [](RunConfig& c) { return Field(&c.batch.virtual_ranks); }},
      {"optimizer", "name", Kind::choice, "", "adamw", "", "adamw", kNone, kNone, kReachesBits, "Optimizer.",
       [](RunConfig& c) { return Field(&c.optimizer.name); }},
      {"optimizer", "learning_rate", Kind::real, "", "3e-4", "", "", kTiny, 100, kReachesBits, "Peak learning rate.",
       [](RunConfig& c) { return Field(&c.optimizer.learning_rate); }},
      {"optimizer", "beta1", Kind::real, "", "0.9", "", "", 0, kBelowOne, kReachesBits, "Decay of the first moment.",
       [](RunConfig& c) { return Field(&c.optimizer.beta1); }},
      {"optimizer", "beta2", Kind::real, "", "0.95", "", "", 0, kBelowOne, kReachesBits, "Decay of the second moment.",
       [](RunConfig& c) { return Field(&c.optimizer.beta2); }},
      {"optimizer", "epsilon", Kind::real, "", "1e-8", "", "", kTiny, 1, kReachesBits, "Added to the root of the second moment.",
       [](RunConfig& c) { return Field(&c.optimizer.epsilon); }},
      {"optimizer", "weight_decay", Kind::real, "", "0.1", "", "", 0, 100, kReachesBits,
       "Decoupled decay of matrices (embeddings too); norms and biases never decay.",
       [](RunConfig& c) { return Field(&c.optimizer.weight_decay); }},
      {"optimizer", "clip_norm", Kind::real, "", "1.0", "", "", 0, kUnbounded, kReachesBits,
       "Largest global gradient norm; 0 = no clipping.", [](RunConfig& c) { return Field(&c.optimizer.clip_norm); }},
      {"optimizer", "ema_beta", Kind::real, "", "0", "", "", 0, kBelowOne, kReachesBits,
       "Average of the weights, evaluated instead of them; 0 = none.", [](RunConfig& c) { return Field(&c.optimizer.ema_beta); }},
      {"schedule", "kind", Kind::choice, "", "cosine", "", "constant|linear|cosine|inverse_sqrt|wsd", kNone, kNone, kReachesBits,
       "Learning rate after warm-up; wsd = stable, then a decaying tail.", [](RunConfig& c) { return choice(c.schedule.kind); }},
      {"schedule", "warmup_steps", Kind::integer, "steps", "", "max(⌈3 % of steps⌉, min(1000, ⌈10 % of steps⌉))", "", -1, kLargest,
       kReachesBits, "Steps of linear warm-up; -1 = the default.", [](RunConfig& c) { return Field(&c.schedule.warmup_steps); }},
      {"schedule", "min_learning_rate", Kind::real, "", "", "a tenth of learning_rate for linear and cosine, else 0", "", 0, 100,
       kReachesBits, "Learning rate of the last step (linear, cosine, wsd).",
       [](RunConfig& c) { return Field(&c.schedule.min_learning_rate); }},
      {"schedule", "decay_fraction", Kind::real, "", "0.2", "", "", kTiny, 1, kReachesBits, "Share of all steps in the tail of wsd.",
       [](RunConfig& c) { return Field(&c.schedule.decay_fraction); }},
      {"schedule", "decay_shape", Kind::choice, "", "one_minus_sqrt", "", "linear|cosine|one_minus_sqrt", kNone, kNone, kReachesBits,
       "Shape of the tail of wsd.", [](RunConfig& c) { return choice(c.schedule.decay_shape); }},
      {"precision", "dtype", Kind::choice, "", "bf16", "", "bf16|fp32", kNone, kNone, kReachesBits,
       "Operands of matrix products; sums, weights and moments are fp32.", [](RunConfig& c) { return Field(&c.precision.dtype); }},
      {"precision", "order", Kind::choice, "", "", "the order that goes with dtype", "dp2|fma", kNone, kNone, kReachesBits,
       "Named order of sums: dp2 goes with bf16, fma with fp32.", [](RunConfig& c) { return choice(c.precision.order); }},
      {"parallel", "dp", Kind::integer, "ranks", "1", "", "", 1, kLargestSize, kNoBits,
       "Data-parallel ranks. This version trains on one rank.", [](RunConfig& c) { return Field(&c.parallel.dp); }},
      {"parallel", "tp", Kind::integer, "ranks", "1", "", "", 1, kLargestSize, kNoBits,
       "Tensor-parallel ranks. This version trains on one rank.", [](RunConfig& c) { return Field(&c.parallel.tp); }},
      {"parallel", "pp", Kind::integer, "ranks", "1", "", "", 1, kLargestSize, kNoBits, "Pipeline stages. This version trains on one rank.",
       [](RunConfig& c) { return Field(&c.parallel.pp); }},
      {"parallel", "cp", Kind::integer, "ranks", "1", "", "", 1, kLargestSize, kNoBits,
       "Context-parallel ranks. This version trains on one rank.", [](RunConfig& c) { return Field(&c.parallel.cp); }},
      {"parallel", "zero", Kind::integer, "", "0", "", "", 0, 3, kNoBits, "ZeRO stage. This version keeps all state on its one rank.",
       [](RunConfig& c) { return Field(&c.parallel.zero); }},
      {"parallel", "virtual_tensor", Kind::integer, "", "1", "", "", 1, kLargestSize, kReachesBits,
       "T: ranges into which sums split by tensor parallelism are cut.", [](RunConfig& c) { return Field(&c.parallel.virtual_tensor); }},
      {"parallel", "virtual_sequence", Kind::integer, "", "1", "", "", 1, kLargestSize, kReachesBits,
       "S: ranges of tokens into which sums over a sequence are cut.", [](RunConfig& c) { return Field(&c.parallel.virtual_sequence); }},
      {"parallel", "recompute", Kind::choice, "", "none", "", "none|layer", kNone, kNone, kNoBits,
       "Activations: keep all, or keep the inputs of layers and compute the rest again in the backward pass.",
       [](RunConfig& c) { return choice(c.parallel.recompute); }},
  };
  return kRows;
}

}  // namespace longhaul::config
