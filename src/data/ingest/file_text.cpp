#include "data/ingest/file_text.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <span>
#include <string_view>

#include "data/utf8.h"
#include "files/hash.h"
#include "units/error.h"

namespace longhaul::data {

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
  State(const InputFile& input) : file(input), descriptor(::open(input.path.c_str(), O_RDONLY | O_CLOEXEC)), decoder(input.encoding) {
    if (descriptor < 0) throw DataError(fmt::format("{}: cannot open the file: {}", file.path.string(), std::strerror(errno)));
  }
  ~State() { ::close(descriptor); }

  /// Reads the next piece of the file to the end of `into`; false when there is none.
  bool read(std::string& into, std::size_t size) {
    const std::size_t before = into.size();
    into.resize(before + size);
    ssize_t n;
    do n = ::read(descriptor, into.data() + before, size);
    while (n < 0 && errno == EINTR);
    if (n < 0) throw DataError(fmt::format("{}: cannot read the file: {}", file.path.string(), std::strerror(errno)));
    into.resize(before + static_cast<std::size_t>(n));
    hash.update(std::as_bytes(std::span(into)).subspan(before));
    bytes += n;
    return n > 0;
  }

  const InputFile file;
  int descriptor;
  TextDecoder decoder;
  files::Sha256 hash;
  std::string raw;  // read and not yet decoded
  std::int64_t bytes = 0;
  bool ended = false;
};

FileText::FileText(const InputFile& file) : state_(std::make_unique<State>(file)) {
  while (state_->raw.size() < kHead && !state_->ended) state_->ended = !state_->read(state_->raw, kHead);
  check_head(file, std::string_view(state_->raw).substr(0, kHead));
}
FileText::~FileText() = default;

bool FileText::more(std::string& text) {
  const std::size_t before = text.size();
  while (text.size() == before) {
    if (state_->raw.empty() && !state_->ended) state_->ended = !state_->read(state_->raw, kPiece);
    if (state_->raw.empty()) {
      state_->decoder.finish(text);
      return text.size() > before;
    }
    state_->decoder.decode(state_->raw, text);
    state_->raw.clear();
  }
  return true;
}

std::int64_t FileText::bytes_read() const { return state_->bytes; }
std::string FileText::sha256() { return state_->hash.finish_hex(); }

}  // namespace longhaul::data
