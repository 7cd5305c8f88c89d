// tokenizer/vocabulary_lines.h — lines of vocabulary files, for their readers and their messages.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

namespace longhaul::tokenizer {

/// Calls visit(line, number) for each line, without its line end; numbers count from 1.
template <typename Visit>
void for_each_line(std::string_view contents, Visit visit) {
  for (std::int64_t number = 1; !contents.empty(); ++number) {
    const std::size_t end = std::min(contents.find('\n'), contents.size());
    std::string_view line = contents.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    visit(line, number);
    contents.remove_prefix(std::min(end + 1, contents.size()));
  }
}

/// The beginning of a line that may be binary or endless.
inline std::string shown(std::string_view line) {
  constexpr std::size_t kShown = 60;
  std::string text;
  for (const char c : line.substr(0, kShown)) text += c >= ' ' && c <= '~' ? c : '?';
  return line.size() > kShown ? text + "…" : text;
}

}  // namespace longhaul::tokenizer
