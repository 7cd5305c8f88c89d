// ingest/formats/piece_buffer.h — text that arrives in pieces, read byte by byte by a reader of rows that keeps what it has not handed out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace longhaul::ingest {

struct PieceBuffer {
  /// @param next_piece  appends the next piece of the text, or returns false at its end
  explicit PieceBuffer(std::function<bool(std::string&)> next_piece) : more(std::move(next_piece)) {}

  /// Whether there is a byte at `at`; reads more if need be, and forgets what is before `begin`.
  bool available() {
    while (at == text.size() && !ended) {
      discarded += static_cast<std::int64_t>(begin);
      text.erase(0, begin);
      at -= begin;
      begin = 0;
      ended = !more(text);
    }
    return at < text.size();
  }
  /// Sees that `size` bytes behind `begin` are there, if the text has them.
  void keep(std::size_t size) {
    while (text.size() - begin < size && !ended) ended = !more(text);
  }
  char next() const { return text[at]; }
  /// Of `begin` in the whole text.
  std::int64_t offset() const { return discarded + static_cast<std::int64_t>(begin); }
  std::string_view kept(std::size_t end) const { return std::string_view(text).substr(begin, end - begin); }

  std::function<bool(std::string&)> more;
  std::string text;
  std::size_t begin = 0, at = 0;  // of what must be kept, and the next byte
  std::int64_t discarded = 0;     // bytes before text
  bool ended = false;
};

}  // namespace longhaul::ingest
