// tokenizer/framing.h — the tokens that frame a document in a stream: begin t₁ … tₙ end (accounting A11).
//
// GPT-2 kinds have one token for both, <|endoftext|>: it is stored once, before the document, and that of the next document is the end of
// the one before. Others have two (Llama 3: <|begin_of_text|> … <|end_of_text|>), or no begin at all; then both are stored.
#pragma once

#include <cstdint>

namespace longhaul::tokenizer {

struct Framing {
  static constexpr std::int32_t kNone = -1;
  std::int32_t begin = kNone;  ///< token id; kNone: a document begins with its text
  std::int32_t end = kNone;    ///< token id; kNone: not decided yet

  bool has_begin() const { return begin != kNone; }
  /// One token, stored once for the end of a document and the beginning of the next.
  bool shared() const { return begin == end; }
  /// Stored tokens of a document whose text has `text_tokens`.
  std::int64_t stored(std::int64_t text_tokens) const { return text_tokens + (has_begin() ? 1 : 0) + (shared() ? 0 : 1); }
  bool operator==(const Framing&) const = default;
};

}  // namespace longhaul::tokenizer
