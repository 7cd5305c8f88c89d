#include "ingest/encoding.h"

#include <algorithm>
#include <array>
#include <utility>

#include "units/utf8.h"

namespace longhaul::ingest {

namespace {

struct NamedEncoding {
  std::string_view name;
  Encoding encoding;
};
constexpr std::array<NamedEncoding, 6> kEncodings = {{{"utf-8", Encoding::utf8},
                                                      {"utf-16le", Encoding::utf16le},
                                                      {"utf-16be", Encoding::utf16be},
                                                      {"utf-32le", Encoding::utf32le},
                                                      {"utf-32be", Encoding::utf32be},
                                                      {"windows-1252", Encoding::windows1252}}};

/// Characters 0x80 to 0x9F of Windows-1252 (Unicode's CP1252.TXT); 0 where it has none.
constexpr std::array<char16_t, 32> kWindows1252 = {0x20AC, 0,      0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
                                                   0x2039, 0x0152, 0,      0x017D, 0,      0,      0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
                                                   0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0,      0x017E, 0x0178};
constexpr char kIllFormed = '\xFF';

unsigned byte_at(std::string_view bytes, std::size_t i) { return static_cast<unsigned char>(bytes[i]); }

unsigned unit16(std::string_view bytes, std::size_t at, bool big) {
  return big ? byte_at(bytes, at) << 8 | byte_at(bytes, at + 1) : byte_at(bytes, at + 1) << 8 | byte_at(bytes, at);
}

char32_t unit32(std::string_view bytes, bool big) {
  return big ? static_cast<char32_t>(unit16(bytes, 0, true) << 16 | unit16(bytes, 2, true))
             : static_cast<char32_t>(unit16(bytes, 2, false) << 16 | unit16(bytes, 0, false));
}

/// Whether the other byte of each unit of 16 bits whose byte at `side` (0 or 1) is zero is a line end, a space or another ASCII character.
bool zeros_beside_ascii(std::string_view text, std::size_t side) {
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    const unsigned other = byte_at(text, i + 1 - side);
    if (text[i + side] == '\0' && (other == 0 || other >= 0x7F || (other < 0x20 && other != '\n' && other != '\r' && other != '\t')))
      return false;
  }
  return true;
}

bool is_surrogate(char32_t c) { return c >= 0xD800 && c <= 0xDFFF; }

void append_or_mark(std::string& text, char32_t c) {
  if (is_surrogate(c) || c > 0x10FFFF)
    text += kIllFormed;
  else
    append_utf8(text, c);
}

}  // namespace

std::string_view encoding_name(Encoding encoding) {
  return std::find_if(kEncodings.begin(), kEncodings.end(), [&](const NamedEncoding& e) { return e.encoding == encoding; })->name;
}

std::optional<Encoding> encoding_from_name(std::string_view name) {
  const auto* found = std::find_if(kEncodings.begin(), kEncodings.end(), [&](const NamedEncoding& e) { return e.name == name; });
  return found == kEncodings.end() ? std::nullopt : std::optional(found->encoding);
}

std::vector<std::string> encoding_names() {
  std::vector<std::string> names;
  for (const NamedEncoding& encoding : kEncodings) names.emplace_back(encoding.name);
  return names;
}

ByteOrderMark byte_order_mark(std::string_view head) {
  using namespace std::string_view_literals;
  // UTF-32LE before UTF-16LE: its mark begins with the other's. (UTF-16LE text that begins with U+0000 is not text.)
  if (head.starts_with("\xFF\xFE\0\0"sv)) return {Encoding::utf32le, 4};
  if (head.starts_with("\0\0\xFE\xFF"sv)) return {Encoding::utf32be, 4};
  if (head.starts_with("\xFF\xFE"sv)) return {Encoding::utf16le, 2};
  if (head.starts_with("\xFE\xFF"sv)) return {Encoding::utf16be, 2};
  if (head.starts_with("\xEF\xBB\xBF"sv)) return {Encoding::utf8, 3};
  return {};
}

std::optional<Encoding> wide_encoding(std::string_view head) {
  const std::size_t units = head.size() / 4;
  if (units < 2) return std::nullopt;
  std::array<std::size_t, 4> zeros{};
  for (std::size_t i = 0; i < 4 * units; ++i) zeros[i % 4] += head[i] == '\0';
  // UTF-32: the highest byte is always zero, the next one nearly always (planes 0 and 1: it is 0 or 1).
  const auto nearly_all = [&](std::size_t count) { return count * 10 >= units * 9; };
  if (zeros[3] == units && nearly_all(zeros[2]) && !nearly_all(zeros[0])) return Encoding::utf32le;
  if (zeros[0] == units && nearly_all(zeros[1]) && !nearly_all(zeros[3])) return Encoding::utf32be;
  // UTF-16: zeros at one parity (letters, spaces and line ends below U+0100); a zero at the other would be U+xx00, which is rare.
  const std::size_t even = zeros[0] + zeros[2], odd = zeros[1] + zeros[3];
  const std::size_t more = std::max(even, odd), less = std::min(even, odd);
  const bool many = more >= 2 && more * 10 >= units * 2 && more >= 16 * less;
  // Text of other scripts has few: line ends and spaces, each with its zero on the same side; and its letters are no UTF-8.
  const bool few = more >= 1 && less == 0 && zeros_beside_ascii(head, odd > even ? 1 : 0) &&
                   first_invalid_utf8(head).value_or(head.size()) + 4 < head.size();
  if (!many && !few) return std::nullopt;
  return odd > even ? Encoding::utf16le : Encoding::utf16be;
}

bool looks_like_windows1252(std::string_view text) {
  std::size_t alone = 0, sequences = 0, high = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t bad = at + first_invalid_utf8(text.substr(at)).value_or(text.size() - at);
    for (std::size_t i = at; i < bad; ++i) sequences += byte_at(text, i) >= 0xC2;
    if (bad < text.size()) {
      ++alone;
      const unsigned byte = byte_at(text, bad);
      if (byte >= 0x80 && byte < 0xA0 && kWindows1252[byte - 0x80] == 0) return false;
    }
    at = bad + 1;
  }
  for (const char c : text) high += static_cast<unsigned char>(c) >= 0x80;
  // Western text has an accented letter or a typographic quote among tens of characters; other 8-bit encodings are mostly high bytes.
  return alone > 0 && sequences * 4 <= alone && high * 4 <= text.size();
}

std::string_view binary_content(std::string_view head) {
  using namespace std::string_view_literals;
  struct Magic {
    std::size_t offset;
    std::string_view bytes, content;
  };
  static constexpr std::array kMagics = std::to_array<Magic>({
      {0, "\x1F\x8B"sv, "gzip data"},
      {0, "\x28\xB5\x2F\xFD"sv, "zstd data"},
      {0,
       "\xFD"
       "7zXZ\0"sv,
       "xz data"},
      {0, "BZh"sv, "bzip2 data"},
      {0, "PK\3\4"sv, "a zip archive (or .docx, .xlsx, .epub)"},
      {0, "%PDF-"sv, "a PDF document"},
      {0, "PAR1"sv, "a Parquet file"},
      {257, "ustar"sv, "a tar archive"},
      {0, "7z\xBC\xAF\x27\x1C"sv, "a 7-zip archive"},
      {0, "Rar!\x1A\7"sv, "a RAR archive"},
      {0,
       "\x7F"
       "ELF"sv,
       "a program"},
      {0, "\x89PNG\r\n"sv, "a picture (PNG)"},
      {0, "\xFF\xD8\xFF"sv, "a picture (JPEG)"},
      {0, "SQLite format 3\0"sv, "an SQLite database"},
      {0, "\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1"sv, "a Microsoft Office document"},
      {0, "{\\rtf"sv, "an RTF document"},
      {0, "ARROW1\0\0"sv, "an Arrow file"},
  });
  for (const Magic& magic : kMagics)
    if (head.size() > magic.offset && head.substr(magic.offset).starts_with(magic.bytes)) return magic.content;
  return {};
}

std::size_t TextDecoder::decode_unit(std::string_view bytes, std::string& text) {
  switch (encoding_) {
    case Encoding::utf8:
      break;  // decode() copies
    case Encoding::windows1252: {
      const unsigned byte = byte_at(bytes, 0);
      const char32_t c = byte >= 0x80 && byte < 0xA0 ? kWindows1252[byte - 0x80] : byte;
      append_or_mark(text, c == 0 && byte != 0 ? 0x110000 : c);
      return 1;
    }
    case Encoding::utf32le:
    case Encoding::utf32be:
      if (bytes.size() < 4) return 0;
      append_or_mark(text, unit32(bytes, encoding_ == Encoding::utf32be));
      return 4;
    case Encoding::utf16le:
    case Encoding::utf16be: {
      const bool big = encoding_ == Encoding::utf16be;
      if (bytes.size() < 2) return 0;
      const char32_t first = unit16(bytes, 0, big);
      if (first < 0xD800 || first > 0xDBFF) {
        append_or_mark(text, first);
        return 2;
      }
      if (bytes.size() < 4) return 0;
      const char32_t second = unit16(bytes, 2, big);
      const bool pair = second >= 0xDC00 && second <= 0xDFFF;
      append_or_mark(text, pair ? 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00) : first);
      return pair ? 4 : 2;
    }
  }
  return 0;
}

void TextDecoder::decode(std::string_view bytes, std::string& text) {
  if (encoding_ == Encoding::utf8 && begun_ && pending_.empty()) {
    text += bytes;
    return;
  }
  pending_ += bytes;
  std::size_t at = 0;
  if (!begun_) {
    if (pending_.size() < 4) return;  // less than a mark may have: finish() takes it
    const ByteOrderMark mark = byte_order_mark(pending_);
    if (mark.encoding == encoding_) at = mark.bytes;
    begun_ = true;
  }
  if (encoding_ == Encoding::utf8) {
    text += std::string_view(pending_).substr(at);
    at = pending_.size();
  }
  while (at < pending_.size()) {
    const std::size_t length = decode_unit(std::string_view(pending_).substr(at), text);
    if (length == 0) break;
    at += length;
  }
  pending_.erase(0, at);
}

void TextDecoder::finish(std::string& text) {
  if (!begun_) {
    begun_ = true;
    const std::string all = std::exchange(pending_, {});
    const ByteOrderMark mark = byte_order_mark(all);
    decode(std::string_view(all).substr(mark.encoding == encoding_ ? mark.bytes : 0), text);
  }
  if (!pending_.empty()) text += kIllFormed;
  pending_.clear();
}

}  // namespace longhaul::ingest
