// units/utf8.h — checks whether text is valid UTF-8, finds where it is not, and replaces what is not.
//
// Tokenizers are defined on Unicode text. Bytes that are not UTF-8 either stop ingestion (with the offset found here) or are
// replaced by U+FFFD, one for each maximal invalid part as Unicode 16.0 §3.9 recommends and Rust's and Python's decoders do, so
// that the ids equal those of a tokenizer behind such a decoder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace longhaul {

/// Offset of the first byte that is not part of a well-formed sequence (surrogates, overlong forms and values above U+10FFFF are
/// ill-formed); nothing when all of `text` is valid.
std::optional<std::size_t> first_invalid_utf8(std::string_view text);

/// `text` with each maximal ill-formed part replaced by U+FFFD.
std::string replace_invalid_utf8(std::string_view text);

/// The code point that begins at `offset` of valid UTF-8; `offset` moves behind it.
char32_t next_code_point(std::string_view text, std::size_t& offset);

/// Appends the UTF-8 form of `code_point` (a scalar value).
void append_utf8(std::string& text, char32_t code_point);

}  // namespace longhaul
