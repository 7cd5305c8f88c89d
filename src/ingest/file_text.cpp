#include "ingest/file_text.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "files/hash.h"
#include "ingest/formats/byte_stream.h"
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

/// The file as it is on disk, hashed as it passes.
class HashedFile final : public ByteStream {
 public:
  explicit HashedFile(const std::filesystem::path& path) : path_(path), descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (descriptor_ < 0) throw DataError(fmt::format("{}: cannot open the file: {}", path.string(), std::strerror(errno)));
  }
  ~HashedFile() override { ::close(descriptor_); }
  HashedFile(const HashedFile&) = delete;
  HashedFile& operator=(const HashedFile&) = delete;

  std::size_t read(char* into, std::size_t size) override {
    ssize_t n;
    do n = ::read(descriptor_, into, size);
    while (n < 0 && errno == EINTR);
    if (n < 0) throw DataError(fmt::format("{}: cannot read the file: {}", path_.string(), std::strerror(errno)));
    hash_.update(std::as_bytes(std::span(into, static_cast<std::size_t>(n))));
    bytes_ += n;
    return static_cast<std::size_t>(n);
  }
  std::int64_t bytes() const { return bytes_; }
  std::string digest() { return hash_.finish_hex(); }

 private:
  std::filesystem::path path_;
  int descriptor_;
  files::Sha256 hash_;
  std::int64_t bytes_ = 0;
};

}  // namespace

struct FileText::State {
  explicit State(const InputFile& input) : decoder(input.encoding) {
    auto opened = std::make_unique<HashedFile>(input.path);
    file = opened.get();
    stream = decompressed(std::move(opened), input.path.string());
  }

  /// Reads the next piece to the end of `raw`.
  void read(std::size_t size) {
    const std::size_t before = raw.size();
    raw.resize(before + size);
    const std::size_t count = stream->read(raw.data() + before, size);
    raw.resize(before + count);
    ended = count == 0;
  }

  HashedFile* file = nullptr;  // at the bottom of the stream
  std::unique_ptr<ByteStream> stream;
  TextDecoder decoder;
  std::string raw;  // read and not yet decoded
  bool ended = false;
};

FileText::FileText(const InputFile& file) : state_(std::make_unique<State>(file)) {
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

std::int64_t FileText::bytes_read() const { return state_->file->bytes(); }
std::string FileText::sha256() { return state_->file->digest(); }

}  // namespace longhaul::ingest
