// units/one_line.h — text of the world inside a comment or a message: names of files and models may hold anything.
#pragma once

#include <string>
#include <string_view>

namespace longhaul {

/// The text with each control byte as '?': a comment ends at the end of its line, and a terminal obeys control bytes.
inline std::string one_line(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  return out;
}

}  // namespace longhaul
