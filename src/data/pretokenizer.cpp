#include "data/pretokenizer.h"

#include <string>

#include "units/error.h"

namespace longhaul::data {
namespace {

struct PatternEntry {
  Pattern pattern;
  std::string_view name;
  std::string_view regex;     ///< as first published
  std::string_view tiktoken;  ///< the possessive form of tiktoken 0.14 (openai_public.py), which the scanners reproduce
};

constexpr PatternEntry kPatterns[] = {
    {Pattern::gpt2, "gpt2", R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)",
     R"('(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s)"},
    {Pattern::cl100k_base, "cl100k_base",
     R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s)"},
};

const PatternEntry& entry_of(Pattern pattern) {
  for (const PatternEntry& entry : kPatterns) {
    if (entry.pattern == pattern) return entry;
  }
  throw UsageError("pattern number " + std::to_string(static_cast<int>(pattern)) + " does not exist");
}

}  // namespace

std::string_view pattern_name(Pattern pattern) { return entry_of(pattern).name; }
std::string_view pattern_regex(Pattern pattern) { return entry_of(pattern).regex; }

Pattern pattern_from_name(std::string_view name) {
  for (const PatternEntry& entry : kPatterns) {
    if (entry.name == name) return entry.pattern;
  }
  throw UsageError("pre-tokeniser pattern '" + std::string(name) + "' is not known; allowed: gpt2, cl100k_base");
}

std::optional<Pattern> pattern_from_regex(std::string_view regex) {
  for (const PatternEntry& entry : kPatterns) {
    if (entry.regex == regex || entry.tiktoken == regex) return entry.pattern;
  }
  return std::nullopt;
}

}  // namespace longhaul::data
