// tokenizer/tiktoken_file.h — reader of tiktoken's rank files.
//
// A rank file has a line `base64(bytes) rank` per token; the rank is the id and the priority of the merge. It names neither
// pattern nor special tokens: OpenAI's own files are recognised by their SHA-256 (tiktoken, openai_public.py); for any other the
// caller names the pattern, and <|endoftext|> gets the next free id.
//
// Errors are DataError with file, line and what is allowed there.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "tokenizer/tokenizer_parts.h"

namespace longhaul::tokenizer {

/// @param name      stands for the file in messages
/// @param pattern   needed for files other than OpenAI's own; contradicting a known file is an error
TokenizerParts parse_tiktoken(std::string_view contents, const std::string& name, const std::optional<Pattern>& pattern);

}  // namespace longhaul::tokenizer
