#include "train/evaluate.h"

#include <algorithm>
#include <numbers>

#include "data/heldout.h"

namespace longhaul::train {

Evaluation evaluate(Engine& engine, const data::TokenStream& stream, std::int64_t max_tokens, const EvaluationProgress& progress) {
  const config::RunConfig& config = engine.config();
  const std::int64_t length = config.batch.sequence_length;
  const data::HeldoutWindows windows(stream, {length, config.data.isolate_documents, 0});
  const std::int64_t sequences =
      max_tokens > 0 ? std::min(windows.sequences(), std::max<std::int64_t>(1, max_tokens / length)) : windows.sequences();

  const Engine::AverageScope average(engine);
  Evaluation result;
  double total = 0;
  for (std::int64_t first = 0; first < sequences; first += config.validation.batch) {
    const data::Batch batch = windows.batch(first, config.validation.batch);
    const float* token_loss = engine.evaluation().evaluate(batch);
    const std::int64_t count = std::min(config.validation.batch, sequences - first);
    for (std::int64_t s = 0; s < count; ++s) {
      double sum = 0;
      for (std::int64_t i = s * length; i < (s + 1) * length; ++i) {
        sum += static_cast<double>(token_loss[i]);
        result.targets += batch.loss_mask[static_cast<std::size_t>(i)];
      }
      total += sum;
    }
    if (progress) progress(first + count, sequences);
  }
  result.loss = result.targets > 0 ? total / static_cast<double>(result.targets) : 0;
  if (sequences == windows.sequences() && stream.text_bytes() > 0)
    result.bits_per_byte = total / std::numbers::ln2 / static_cast<double>(stream.text_bytes());
  return result;
}

}  // namespace longhaul::train
