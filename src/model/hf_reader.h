// model/hf_reader.h — a Hugging Face config.json as a ModelSpec: the inverse of model/hf_config.h, for every kind that a spec can express.
//
// A key that is absent has the default of transformers' configuration class of that kind (5.23,
// src/transformers/models/*/configuration_*.py); these defaults differ by kind, and each default that was used is named. What a spec cannot
// express is refused where parameters would be counted wrongly, and noted where they are right but something else differs (a sliding
// window, scaled rotations, dropout). No key is ignored silently: one that the class does not have is noted with the nearest name, because
// a misspelt size would count another model.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/spec.h"

namespace longhaul::model {

/// The release of transformers whose defaults are used.
inline constexpr std::string_view kTransformersVersion = "5.23";

/// Rotations of rope_type "llama3": long wavelengths are stretched, short ones are not, those between by interpolation (transformers,
/// modeling_rope_utils.py, _compute_llama3_parameters). Parameters and work are those of plain rotations.
struct Llama3Rope {
  double factor = 0, low_freq_factor = 0, high_freq_factor = 0;
  double original_max_position_embeddings = 0;  ///< tokens
};

struct HfModel {
  ModelSpec spec;                         ///< countable; its name is left empty
  std::string kind;                       ///< model_type: "llama"
  std::vector<std::string> assumed;       ///< "num_key_value_heads = 8": absent keys that reach the spec, with the class's default
  std::vector<std::string> notes;         ///< sentences: what the file says that the spec cannot
  std::optional<Llama3Rope> llama3_rope;  ///< where the file has it whole; noted too
};

/// The model_types that can be read.
std::span<const std::string_view> hf_kinds();

/// @param config  the parsed file
/// @param label   stands before errors, usually the path
/// @throws UsageError that names the key, what it holds and what is allowed
HfModel read_hf_config(const nlohmann::json& config, const std::string& label);

}  // namespace longhaul::model
