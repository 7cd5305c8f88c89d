// tokenizer/test_pieces.h — the pieces that the scanners cut, one at a time, for tests.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/category_scan.h"
#include "tokenizer/pretokenizer.h"

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

using Pieces = std::vector<std::string>;

/// All of a text; ends early where a scanner stands still.
inline Pieces scanned(const Pattern& pattern, const std::string& text) {
  Pieces pieces;
  for (std::size_t begin = 0, end = 0; begin < text.size(); begin = end) {
    end = piece_end(pattern, text, begin);
    if (end <= begin) break;
    pieces.push_back(text.substr(begin, end - begin));
  }
  return pieces;
}

}  // namespace longhaul::tokenizer
