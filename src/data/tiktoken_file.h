// data/tiktoken_file.h — readers of the two plain vocabulary files: tiktoken's rank files and GPT-2's vocab.bpe.
//
// A rank file has a line `base64(bytes) rank` per token; the rank is the id and the priority of the merge. It names neither
// pattern nor special tokens: OpenAI's own files are recognised by their SHA-256 (tiktoken, openai_public.py); for any other the
// caller names the pattern, and <|endoftext|> gets the next free id. vocab.bpe has `#version: 0.2` and a line `left right` per merge;
// the 256 bytes come first in GPT-2's order, <|endoftext|> last (50256).
//
// Errors are DataError with file, line and what is allowed there.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "data/tokenizer_parts.h"

namespace longhaul::data {

/// @param name      stands for the file in messages
/// @param pattern   needed for files other than OpenAI's own; contradicting a known file is an error
TokenizerParts parse_tiktoken(std::string_view contents, const std::string& name, std::optional<Pattern> pattern);

/// @param pattern   gpt2 or nothing
TokenizerParts parse_vocab_bpe(std::string_view contents, const std::string& name, std::optional<Pattern> pattern);

}  // namespace longhaul::data
