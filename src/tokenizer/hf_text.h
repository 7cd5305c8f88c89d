// tokenizer/hf_text.h — `normalizer`, `pre_tokenizer` and `decoder` of a tokenizer.json: what they do to text, read and written.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "tokenizer/pattern.h"
#include "tokenizer/text_rules.h"
#include "tokenizer/tokenizer_parts.h"

namespace longhaul::tokenizer {

/// What a file's normalizer and pre_tokenizer mean together.
struct HfText {
  TextRules rules;
  Pattern pattern = PatternKind::whole;
  bool byte_level = false;  ///< tokens are written in GPT-2's byte names
};

/// @param root   the whole tokenizer.json
/// @throws DataError   a component that is not implemented: names it, its setting and what is implemented
HfText read_hf_text(const nlohmann::json& root, const std::string& name);

nlohmann::ordered_json write_normalizer(const TextRules& rules);
nlohmann::ordered_json write_pre_tokenizer(const TextRules& rules, const Pattern& pattern, Units units);
nlohmann::ordered_json write_decoder(const TextRules& rules, Units units);

/// At most 60 characters of a value, for messages.
std::string shown_json(const nlohmann::json& value);

/// The string under `key`, empty if there is none.
std::string text_under(const nlohmann::json& object, const char* key);

}  // namespace longhaul::tokenizer
