// tokenizer/test_pieces.h — the pieces that the scanners cut, one at a time, for tests.
#pragma once

#include <string_view>

#include "tokenizer/pretokenizer.h"
#include "tokenizer/pretokenizer_scan.h"

namespace longhaul::tokenizer {

/// End of the piece that begins at `begin`.
/// @param text    valid UTF-8, whole document: the end of the text matters to white space
/// @param begin   offset of a piece's first byte, < text.size()
/// @return        offset behind its last byte: begin < end <= text.size()
inline std::size_t piece_end(const Pattern& pattern, std::string_view text, std::size_t begin) {
  const char* const p = text.data() + begin;
  const char* const end = text.data() + text.size();
  const char* stop = p;
  scan::with_scanner(pattern.kind(), [&](auto piece) { stop = piece(p, end); });
  return static_cast<std::size_t>(stop - text.data());
}

}  // namespace longhaul::tokenizer
