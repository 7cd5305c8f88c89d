// units/one_line.h — foreign text made safe for one line of a comment or a message: names may contain any byte.
#pragma once

#include <string>
#include <string_view>

namespace longhaul {

/// The text with each control byte as '?': a newline would end a comment, and a terminal would execute control bytes.
inline std::string one_line(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  return out;
}

}  // namespace longhaul
