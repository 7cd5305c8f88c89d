#include "tokenizer/byte_level.h"

#include <array>
#include <cstdint>

#include "units/utf8.h"

namespace longhaul::tokenizer {
namespace {

constexpr bool names_itself(unsigned byte) { return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD); }

constexpr std::size_t kNames = 256 + 68;  // code points up to the last name

struct Names {
  std::array<char32_t, 256> of_byte{};
  std::array<std::int16_t, kNames> byte_of{};
};

constexpr Names kByteNames = [] {
  Names names;
  for (std::int16_t& byte : names.byte_of) byte = -1;
  char32_t next = 0x100;
  for (unsigned byte = 0; byte < 256; ++byte) {
    names.of_byte[byte] = names_itself(byte) ? byte : next++;
    names.byte_of[names.of_byte[byte]] = static_cast<std::int16_t>(byte);
  }
  return names;
}();

}  // namespace

std::string to_byte_level(std::string_view bytes) {
  std::string printable;
  for (const char c : bytes) append_utf8(printable, kByteNames.of_byte[static_cast<unsigned char>(c)]);
  return printable;
}

std::optional<std::string> from_byte_level(std::string_view printable) {
  if (first_invalid_utf8(printable)) return std::nullopt;
  std::string bytes;
  for (std::size_t offset = 0; offset < printable.size();) {
    const char32_t c = next_code_point(printable, offset);
    if (c >= kNames || kByteNames.byte_of[c] < 0) return std::nullopt;
    bytes += static_cast<char>(kByteNames.byte_of[c]);
  }
  return bytes;
}

std::string byte_level_order() {
  std::string order;
  for (const bool self : {true, false}) {
    for (unsigned byte = 0; byte < 256; ++byte) {
      if (names_itself(byte) == self) order += static_cast<char>(byte);
    }
  }
  return order;
}

}  // namespace longhaul::tokenizer
