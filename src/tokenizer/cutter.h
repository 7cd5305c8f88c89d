// tokenizer/cutter.h — cutting text by regular expressions through PCRE2: what has no name, and so no scanner.
//
// Each step cuts the pieces of the one before; in a piece the expression sees nothing of its neighbours, as in Hugging Face's
// pre-tokenisers, so `$`-like conditions hold at the end of the piece. An expression may come from a tokenizer.json, where Oniguruma
// reads it, from tiktoken (Rust's) or from the user, and must mean the same in all: what differs (`$`, `^`, `\w`, `\b`, `\h`, sets in
// classes) is refused by name.
//
// Unicode: Debian 12's PCRE2 knows version 14.0, tiktoken 0.14 and `tokenizers` 0.23 know 16.0. Code points whose category has changed
// since are matched as an older character of their new category and of the same length (later_characters.inc).
//
// Time stays linear: a match that backtracks more than 4,096 steps is tried again with eight times as many, and all such steps of a text
// together may be 64 a byte (and a million); a text that needs more is refused. The named patterns need three.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/pattern.h"

namespace longhaul::tokenizer {

/// A part of a text, as offsets.
struct Range {
  std::size_t begin = 0, end = 0;
};

/// A pattern's expressions, compiled. Immutable; threads share it.
class CompiledPattern {
 public:
  /// @param origin       file or option for messages
  /// @throws UsageError  an expression that PCRE2 cannot compile or that means something else in other engines: names both
  CompiledPattern(const Pattern& pattern, const std::string& origin);
  ~CompiledPattern();

 private:
  friend class Cutter;
  struct Codes;
  std::unique_ptr<const Codes> codes_;
};

/// Cuts for one thread.
class Cutter {
 public:
  explicit Cutter(std::shared_ptr<const CompiledPattern> pattern);
  ~Cutter();
  Cutter(Cutter&&) noexcept;
  Cutter& operator=(Cutter&&) noexcept;

  /// The pieces of `text` (valid UTF-8) in order; valid until the next call.
  /// @throws DataError   a text on which an expression exceeds the limit of steps
  const std::vector<Range>& cut(std::string_view text);

 private:
  struct State;
  std::shared_ptr<const CompiledPattern> pattern_;
  std::unique_ptr<State> state_;
};

/// `text` with each character that PCRE2 is too old for replaced by an older one of its category and length; empty when there is none.
std::string with_older_characters(std::string_view text);

}  // namespace longhaul::tokenizer
