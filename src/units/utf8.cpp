#include "units/utf8.h"

#include <immintrin.h>

namespace longhaul {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

struct Sequence {
  std::size_t length = 0;  // bytes that belong together
  bool valid = false;
};

// Table 3-7 of the Unicode standard: the lead byte fixes the length and the range of the second byte; all later ones are 80..BF.
// An ill-formed sequence has the length of its longest well-formed beginning, at least 1 ("maximal subpart").
Sequence sequence_at(std::string_view text, std::size_t offset) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(offset);
  if (lead < 0x80) return {1, true};
  if (lead < 0xC2 || lead > 0xF4) return {1, false};
  const std::size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  unsigned low = 0x80, high = 0xBF;
  if (lead == 0xE0) low = 0xA0;   // shorter forms exist
  if (lead == 0xED) high = 0x9F;  // surrogates
  if (lead == 0xF0) low = 0x90;   // shorter forms exist
  if (lead == 0xF4) high = 0x8F;  // above U+10FFFF
  for (std::size_t i = 1; i < length; ++i) {
    if (offset + i >= text.size() || byte(offset + i) < low || byte(offset + i) > high) return {i, false};
    low = 0x80;
    high = 0xBF;
  }
  return {length, true};
}

// Offset of the first byte >= 0x80 at or behind `offset`, or the size.
std::size_t skip_ascii(std::string_view text, std::size_t offset) {
  for (; offset + 32 <= text.size(); offset += 32) {
    const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(text.data() + offset));
    const unsigned high_bits = static_cast<unsigned>(_mm256_movemask_epi8(bytes));
    if (high_bits != 0) return offset + static_cast<std::size_t>(__builtin_ctz(high_bits));
  }
  while (offset < text.size() && static_cast<unsigned char>(text[offset]) < 0x80) ++offset;
  return offset;
}

std::optional<std::size_t> first_invalid_from(std::string_view text, std::size_t offset) {
  for (offset = skip_ascii(text, offset); offset < text.size();) {
    const Sequence sequence = sequence_at(text, offset);
    if (!sequence.valid) return offset;
    offset += sequence.length;
    if (sequence.length == 1) offset = skip_ascii(text, offset);
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::size_t> first_invalid_utf8(std::string_view text) { return first_invalid_from(text, 0); }

std::string replace_invalid_utf8(std::string_view text) {
  std::string result;
  result.reserve(text.size() + kReplacement.size());
  std::size_t begin = 0;
  for (std::optional<std::size_t> bad = first_invalid_from(text, 0); bad; bad = first_invalid_from(text, begin)) {
    result.append(text.substr(begin, *bad - begin)).append(kReplacement);
    begin = *bad + sequence_at(text, *bad).length;
  }
  return result.append(text.substr(begin));
}

char32_t next_code_point(std::string_view text, std::size_t& offset) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data()) + offset;
  const char32_t lead = bytes[0];
  if (lead < 0x80) return ++offset, lead;
  if (lead < 0xE0) return offset += 2, (lead & 0x1F) << 6 | (bytes[1] & 0x3Fu);
  if (lead < 0xF0) return offset += 3, (lead & 0x0F) << 12 | (bytes[1] & 0x3Fu) << 6 | (bytes[2] & 0x3Fu);
  return offset += 4, (lead & 0x07) << 18 | (bytes[1] & 0x3Fu) << 12 | (bytes[2] & 0x3Fu) << 6 | (bytes[3] & 0x3Fu);
}

void append_utf8(std::string& text, char32_t code_point) {
  const auto tail = [&](int shift) { text += static_cast<char>(0x80 | ((code_point >> shift) & 0x3F)); };
  if (code_point < 0x80) {
    text += static_cast<char>(code_point);
  } else if (code_point < 0x800) {
    text += static_cast<char>(0xC0 | (code_point >> 6));
    tail(0);
  } else if (code_point < 0x10000) {
    text += static_cast<char>(0xE0 | (code_point >> 12));
    tail(6), tail(0);
  } else {
    text += static_cast<char>(0xF0 | (code_point >> 18));
    tail(12), tail(6), tail(0);
  }
}

}  // namespace longhaul
