// train/test_support.h — small runs in memory for the tests of this room.
#pragma once

#include <string>

#include "config/resolve.h"
#include "data/batch.h"
#include "train/engine.h"

namespace longhaul::train {

/// A run of a small model: `tables` is TOML that replaces or adds to the defaults below.
inline config::ResolvedConfig small_resolved_run(const config::Overrides& sets = {}) {
  static const std::string text = R"([run]
directory = "unused"
steps = 10
seed = 1
threads = 2
[model]
layers = 2
width = 32
heads = 4
kv_heads = 2
ffn_width = 48
vocab = 61
[data]
directory = "unused"
[batch]
sequence_length = 24
micro_batch = 2
global_batch = 8
[optimizer]
learning_rate = 1e-3
)";
  return config::resolve_text(text, "small_run", "/", sets);
}
inline config::RunConfig small_run(const config::Overrides& sets = {}) { return small_resolved_run(sets).config; }

/// Mean loss of a batch, its gradients made on the way.
inline double loss_of(Engine& engine, const data::Batch& batch) {
  engine.step().gradients(batch);
  return engine.step().loss().mean();
}

/// Document starts from document indices: what Batch::document_start holds beside Batch::documents.
inline void fill_document_starts(data::Batch& batch) {
  for (std::int64_t s = 0; s < batch.sequences; ++s) {
    std::int32_t start = 0;
    for (std::int64_t t = 0; t < batch.sequence_length; ++t) {
      const std::int64_t i = s * batch.sequence_length + t;
      if (t > 0 && batch.documents[i] != batch.documents[i - 1]) start = static_cast<std::int32_t>(t);
      batch.document_start[i] = start;
    }
  }
}

}  // namespace longhaul::train
