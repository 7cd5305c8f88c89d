#include "ingest/file_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <string_view>
#include <utility>

#include "units/error.h"
#include "units/utf8.h"

namespace longhaul::ingest {

namespace {

constexpr std::size_t kPiece = std::size_t{1} << 20;
constexpr std::size_t kHead = std::size_t{64} << 10;  // looked at before the file is read

std::string other_encoding(const InputFile& file, std::string_view seen, Encoding encoding) {
  return fmt::format("{}: {}; --encoding {} reads it (for one source: --encoding NAME={})", file.path.string(), seen,
                     encoding_name(encoding), encoding_name(encoding));
}

/// @throws DataError when `head` shows that the file is no text of the source's encoding
void check_head(const InputFile& file, std::string_view head) {
  const std::string path = file.path.string();
  if (const std::string_view binary = binary_content(head); !binary.empty())
    throw DataError(
        fmt::format("{}: holds {}, not text; give it its own extension, extract its text, or leave it out with --exclude \"{}\"", path,
                    binary, file.name));
  const ByteOrderMark mark = byte_order_mark(head);
  if (mark.bytes > 0 && mark.encoding != file.encoding)
    throw DataError(other_encoding(file, fmt::format("its byte-order mark says {}", encoding_name(mark.encoding)), mark.encoding));
  const bool wide = file.encoding != Encoding::utf8 && file.encoding != Encoding::windows1252;
  if (!wide) {
    const auto guess = wide_encoding(head);
    if (guess) throw DataError(other_encoding(file, fmt::format("NUL bytes: probably {}", encoding_name(*guess)), *guess));
  } else if (mark.bytes == 0 && head.find('\0') == std::string_view::npos &&
             !first_invalid_utf8(head.substr(0, head.size() - std::min<std::size_t>(head.size(), 3)))) {
    throw DataError(fmt::format("{}: looks like utf-8, not {}: it has no NUL byte; make files of another encoding a source of their own",
                                path, encoding_name(file.encoding)));
  }
}

}  // namespace

struct FileText::State {
  State(const InputFile& file, std::unique_ptr<ByteStream> bytes)
      : stream(decompressed(std::move(bytes), file.path.string())), decoder(file.encoding) {}

  /// Reads the next piece to the end of `raw`.
  void read(std::size_t size) {
    const std::size_t before = raw.size();
    raw.resize(before + size);
    const std::size_t count = stream->read(raw.data() + before, size);
    raw.resize(before + count);
    ended = count == 0;
  }

  std::unique_ptr<ByteStream> stream;
  TextDecoder decoder;
  std::string raw;  // read and not yet decoded
  bool ended = false;
};

FileText::FileText(const InputFile& file, std::unique_ptr<ByteStream> bytes) : state_(std::make_unique<State>(file, std::move(bytes))) {
  while (state_->raw.size() < kHead && !state_->ended) state_->read(kHead);
  check_head(file, std::string_view(state_->raw).substr(0, kHead));
}
FileText::~FileText() = default;

std::string FileText::head() const {
  TextDecoder decoder = state_->decoder;
  std::string text;
  decoder.decode(std::string_view(state_->raw).substr(0, kHead), text);
  return text;
}

bool FileText::more(std::string& text) {
  const std::size_t before = text.size();
  while (text.size() == before) {
    if (state_->raw.empty() && !state_->ended) state_->read(kPiece);
    if (state_->raw.empty()) {
      state_->decoder.finish(text);
      return text.size() > before;
    }
    state_->decoder.decode(state_->raw, text);
    state_->raw.clear();
  }
  return true;
}

}  // namespace longhaul::ingest
