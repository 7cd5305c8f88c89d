// data/pretokenizer.h — cutting text into the pieces that byte-pair encoding works on.
//
// BPE never merges across a piece, so the pieces determine the ids. Published vocabularies define them by a regular expression over
// Unicode classes; here the two that matter (GPT-2's and cl100k_base's) are scanners written by hand: a table for ASCII, 32 bytes
// of a word at a time, a two-stage table for the rest (Unicode 16.0, the version of tiktoken 0.14). They follow the expressions of
// tiktoken 0.14, which split trailing white space differently from the first published ones; the ids are the same.
//
// Text must be valid UTF-8 (data/utf8.h): every caller in this room checks it first.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "data/pattern.h"

namespace longhaul::data {

/// "gpt2" or "cl100k_base".
std::string_view pattern_name(Pattern pattern);

/// @throws UsageError   naming the known patterns
Pattern pattern_from_name(std::string_view name);

/// The expression as first published; what a tokenizer.json carries.
std::string_view pattern_regex(Pattern pattern);

/// The pattern whose expression is `regex` in either form, if it is one of ours.
std::optional<Pattern> pattern_from_regex(std::string_view regex);

}  // namespace longhaul::data
