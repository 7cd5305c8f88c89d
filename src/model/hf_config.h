// model/hf_config.h — a trainable ModelSpec as the config.json that Hugging Face's transformers reads.
//
// The gpt2 family becomes GPT2LMHeadModel; the llama family LlamaForCausalLM, Qwen2ForCausalLM (biases on q, k, v) or Qwen3ForCausalLM
// (qk_norm). Tensor names and layouts are already theirs (model/param_table.h).
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "model/spec.h"

namespace longhaul::model {

/// @param sequence_length  longest context the model was trained on
/// @param end_of_text      id of <|endoftext|>, which begins every document
/// @throws UsageError      naming the combination of axes that no such class has
nlohmann::json hf_config(const ModelSpec& spec, std::int64_t sequence_length, std::int64_t end_of_text);

}  // namespace longhaul::model
