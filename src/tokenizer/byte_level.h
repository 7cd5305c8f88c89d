// tokenizer/byte_level.h — GPT-2's printable names for bytes, in which vocab.bpe and tokenizer.json write tokens.
//
// Bytes 21-7E, A1-AC and AE-FF (hex) are the code point of the same number; the other 68, in ascending order, are U+0100, U+0101, …
// (a space is Ġ, a line feed Ċ). Source: openai/gpt-2, encoder.py, bytes_to_unicode.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace longhaul::tokenizer {

/// The printable form of any bytes.
std::string to_byte_level(std::string_view bytes);

/// The bytes behind a printable form; nothing if a code point of it is no byte's name.
std::optional<std::string> from_byte_level(std::string_view printable);

/// The 256 bytes in GPT-2's order of ids: those that name themselves, then the others.
std::string byte_level_order();

}  // namespace longhaul::tokenizer
