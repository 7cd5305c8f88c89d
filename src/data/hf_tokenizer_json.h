// data/hf_tokenizer_json.h — tokenizer.json of Hugging Face's `tokenizers`: the form in which we save, and a reader of other files.
//
// Written: BPE over ByteLevel, special tokens both in `added_tokens` and in the vocabulary (so that their ids hold where numbers are
// left free), merges as "left right". It loads in `tokenizers` and `transformers` unchanged and gives the same ids, with one intended
// difference: those recognise a special token's text inside a document, we never do.
//
// Read: files that mean what this room can do exactly: BPE without dropout, unknown token, affixes or byte fallback, no normaliser,
// ByteLevel pre-tokenisation alone (pattern gpt2) or behind a Split by one of the known expressions, special added tokens. Anything
// else is a DataError that names the field: ids of a tokenizer that differs slightly would be wrong without notice.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "data/tokenizer_parts.h"

namespace longhaul::data {

class BpeTables;

/// @param name      stands for the file in messages
/// @param pattern   if given, must be the file's own
TokenizerParts parse_tokenizer_json(std::string_view contents, const std::string& name, std::optional<Pattern> pattern);

std::string write_tokenizer_json(const BpeTables& tables);

}  // namespace longhaul::data
