// train/generation.h — text that a model goes on with, token by token, until it ends by itself or is long enough.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "tokenizer/framing.h"
#include "tokenizer/tokenizer.h"
#include "train/inference.h"

namespace longhaul::train {

struct Passage {
  std::vector<std::int32_t> tokens;  ///< that follow the prompt
  bool ended = false;                ///< the model ended the text; that token is not among them
};

/// What ended a passage, as documents say it: "end_of_text" or "tokens".
const char* stop_of(const Passage& passage);

/// Continues `prompt` as a document of this framing does.
/// @param most  tokens at most
/// @param take  called with each token as it is drawn; may be empty
/// @throws UsageError for an empty prompt where documents have no begin token
Passage generate(Inference& inference, const tokenizer::Tokenizer& tokenizer, const tokenizer::Framing& framing, std::string_view prompt,
                 std::int64_t most, const Sampling& how, const std::function<void(std::int32_t)>& take = {});

}  // namespace longhaul::train
