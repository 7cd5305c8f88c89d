// tokenizer/pretokenizer.h — cutting text into the pieces that byte-pair encoding works on.
//
// BPE never merges across a piece, so the pieces determine the ids. Published vocabularies define them by regular expressions over
// Unicode classes. The named ones are scanners written by hand (tokenizer/pretokenizer_scan.h, tokenizer/category_scan.h): a table for
// ASCII, 16 letters at a time, a two-stage table for the rest (Unicode 16.0, the version of tiktoken 0.14). GPT-2's and those of
// cl100k_base's form follow the expressions of tiktoken 0.14, which split trailing white space differently from the first published ones;
// the ids are the same. Expressions without a name go through PCRE2 (tokenizer/cutter.h).
//
// Text must be valid UTF-8 (units/utf8.h): every caller in this room checks it first.
#pragma once

#include <string>
#include <string_view>

#include "tokenizer/pattern.h"

namespace longhaul::tokenizer {

/// "gpt2", "cl100k_base"…; of expressions without a name "regex:" and them.
std::string pattern_name(const Pattern& pattern);

/// A name, another name for the same (llama3 is cl100k_base), or "regex:" and an expression in PCRE2's syntax.
/// @throws UsageError   naming the known patterns, or what the expression may not contain
Pattern pattern_from_name(std::string_view name);

/// What a help text says of a pattern's values.
inline constexpr const char* kPatternValues =
    "gpt2, cl100k_base, o200k_base, llama3, qwen2, deepseek_v3, tekken, nanochat or regex:EXPRESSION";

}  // namespace longhaul::tokenizer
