// ingest/encoding.h — the encodings that text comes in, told apart by their bytes, and their conversion to UTF-8.
//
// Nothing is converted unasked: a file that is recognised as UTF-16, UTF-32 or Windows-1252 is refused with the `--encoding` that reads
// it. A byte-order mark is no text and is removed; one of another encoding than the declared one is an error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace longhaul::ingest {

enum class Encoding { utf8, utf16le, utf16be, utf32le, utf32be, windows1252 };

/// "utf-8", "utf-16le", "utf-16be", "utf-32le", "utf-32be", "windows-1252", as `--encoding` takes them.
std::string_view encoding_name(Encoding encoding);
std::optional<Encoding> encoding_from_name(std::string_view name);
std::vector<std::string> encoding_names();

struct ByteOrderMark {
  Encoding encoding = Encoding::utf8;
  std::size_t bytes = 0;  ///< 0: there is none
};
ByteOrderMark byte_order_mark(std::string_view head);

/// UTF-16 or UTF-32 by its zero bytes: text has many letters below U+0100, whose upper bytes are zero. Nothing for other bytes.
std::optional<Encoding> wide_encoding(std::string_view head);

/// Whether text that is no valid UTF-8 looks like Windows-1252: bytes from 0x80 stand alone between letters, hardly any belongs to a
/// well-formed sequence of UTF-8, none is one of the five that Windows-1252 leaves undefined.
bool looks_like_windows1252(std::string_view text);

/// What a file holds that is no text, by its first bytes: "a PDF document", "a zip archive" …; empty for anything else.
std::string_view binary_content(std::string_view head);

/// Converts a stream of bytes to UTF-8, piece by piece. What is ill-formed becomes the byte 0xFF, which no UTF-8 holds, so the policy
/// for invalid UTF-8 meets it. The encoding's own byte-order mark at the start is left out.
class TextDecoder {
 public:
  explicit TextDecoder(Encoding encoding) : encoding_(encoding) {}
  /// Appends the text of `bytes` to `text`; a character that is cut at the end waits for the next call.
  void decode(std::string_view bytes, std::string& text);
  /// The end of the stream: what is left is ill-formed.
  void finish(std::string& text);

 private:
  std::size_t decode_unit(std::string_view bytes, std::string& text);
  Encoding encoding_;
  std::string pending_;  // less than one character
  bool begun_ = false;
};

}  // namespace longhaul::ingest
