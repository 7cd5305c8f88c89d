// tokenizer/hf_tokenizer_json.h — tokenizer.json of Hugging Face's `tokenizers`: the form in which we save, and a reader of other files.
//
// Written: BPE with special and added tokens both in `added_tokens` and in the vocabulary (so that their ids hold where numbers are
// left free), merges as "left right" (as pairs where a token has a space). It loads in `tokenizers` and `transformers` unchanged and gives
// the same ids, with one intended difference: those recognise a special token's text inside a document (unless `encode_special_tokens`
// is set), we never do.
//
// Read: files that mean what this room can do exactly. model: BPE without dropout and affixes, over bytes (ByteLevel) or over characters
// with byte fallback (Llama 2, Gemma); text: tokenizer/hf_text.h. Anything else is a DataError that names the component: ids of a
// tokenizer that differs slightly would be wrong without notice.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "tokenizer/tokenizer_parts.h"

namespace longhaul::tokenizer {

class BpeTables;

/// @param name      stands for the file in messages
/// @param pattern   if given, must be the file's own
TokenizerParts parse_tokenizer_json(std::string_view contents, const std::string& name, const std::optional<Pattern>& pattern);

std::string write_tokenizer_json(const BpeTables& tables);

}  // namespace longhaul::tokenizer
