#include "train/generation.h"

#include "units/error.h"

namespace longhaul::train {

const char* stop_of(const Passage& passage) { return passage.ended ? "end_of_text" : "tokens"; }

Passage generate(Inference& inference, const tokenizer::Tokenizer& tokenizer, const tokenizer::Framing& framing, std::string_view prompt,
                 std::int64_t most, const Sampling& how, const std::function<void(std::int32_t)>& take) {
  std::vector<std::int32_t> tokens;
  if (framing.has_begin()) tokens.push_back(framing.begin);
  const std::vector<std::int32_t> encoded = tokenizer.encode_ordinary(prompt);
  tokens.insert(tokens.end(), encoded.begin(), encoded.end());
  if (tokens.empty()) throw UsageError("documents have no begin token here, so a text needs its first words: give a prompt");

  const auto vocabulary = static_cast<std::size_t>(tokenizer.vocab_size());
  Passage passage;
  while (std::ssize(passage.tokens) < most) {
    std::vector<float> logits = inference.next_logits(tokens);
    if (logits.size() > vocabulary) logits.resize(vocabulary);  // rows that no token uses are never drawn
    const std::int32_t token = sample(logits, how, std::ssize(tokens));
    passage.ended = token == framing.end;
    if (passage.ended) break;
    tokens.push_back(token);
    passage.tokens.push_back(token);
    if (take) take(token);
  }
  return passage;
}

}  // namespace longhaul::train
