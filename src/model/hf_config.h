// model/hf_config.h — a trainable ModelSpec as the config.json that Hugging Face's transformers reads.
//
// The gpt2 family becomes GPT2LMHeadModel; the llama family LlamaForCausalLM, Qwen2ForCausalLM (biases on q, k, v) or Qwen3ForCausalLM
// (qk_norm). Tensor names and layouts are already theirs (model/param_table.h).
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>

#include "model/spec.h"

namespace longhaul::model {

/// @param sequence_length  longest context the model was trained on
/// @param begin            id of the token that begins every document; none: null in the file
/// @param end              id of the token that ends it
/// @throws UsageError      naming the combination of axes that no such class has
nlohmann::json hf_config(const ModelSpec& spec, std::int64_t sequence_length, std::optional<std::int64_t> begin, std::int64_t end);

}  // namespace longhaul::model
