// train/evaluate.h — the loss of a text: one fp64 sum a sequence, added in sequence order, so its batch size reaches no bit.
//
// The text is cut as data/heldout.h says: each target counts once, and a stride below sequence_length gives targets more context. Sums of
// single documents are chains of their own, in token order: they add up to the total except for the rounding of fp64.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "data/dataset.h"
#include "train/engine.h"

namespace longhaul::train {

struct EvaluationOptions {
  std::int64_t max_tokens = 0;  ///< 0: all of the text; else as many whole sequences as hold that many tokens, from the start
  std::int64_t stride = 0;      ///< tokens from one window to the next; 0: sequence_length, each token is read once
  bool per_document = false;
};

/// A target belongs to the document of the token that it is predicted from.
struct DocumentLoss {
  double nats = 0;
  std::int64_t targets = 0;
};

struct Evaluation {
  double nats = 0;  ///< −ln p, summed over the targets
  std::int64_t targets = 0;
  double loss = 0;          ///< nats per target
  bool complete = false;    ///< all of the text was read
  bool covers_text = true;  ///< data::HeldoutWindows::covers_text(): with `complete`, bytes and words of the text may divide the sum
  /// −log₂ p over all targets ÷ bytes of the text (accounting G); absent when only a part was read or predicted.
  std::optional<double> bits_per_byte;
  std::vector<DocumentLoss> documents;  ///< of the stream, in order; empty unless asked for

  /// The figures of a text that was read to its end.
  static Evaluation of(double nats, std::int64_t targets, std::int64_t text_bytes, bool covers_text);
  /// e^(nats per target).
  double perplexity() const;
  /// e^(nats ÷ words of the text); absent when only a part was read or predicted, or there are no words.
  std::optional<double> word_perplexity(std::int64_t words) const;
};

/// " (end of text left out)" where data.end_of_text_loss is false, to stand after a figure that it changes; else nothing.
std::string_view end_of_text_note(const config::RunConfig& config);

/// Called with sequences done and in all.
using EvaluationProgress = std::function<void(std::int64_t, std::int64_t)>;

/// All ranks call it together, and each has the result; of single documents one rank alone.
/// Reads `stream` in windows of the run's sequence_length with the average where there is one, else the weights.
/// @throws UsageError for a stride outside 1 … sequence_length, DataError for an empty stream
Evaluation evaluate(Engine& engine, const data::TokenStream& stream, const EvaluationOptions& options,
                    const EvaluationProgress& progress = {});

}  // namespace longhaul::train
