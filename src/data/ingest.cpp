#include "data/ingest.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <simdjson.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <span>
#include <utility>

#include "data/utf8.h"
#include "files/read.h"
#include "units/error.h"

namespace longhaul::data {

namespace fs = std::filesystem;

namespace {

/// The nesting that any JSON input may have (design limit shared with configuration files and manifests).
constexpr std::size_t kMaxJsonDepth = 64;
constexpr const char* kReplacement = "\xEF\xBF\xBD";  // U+FFFD

bool is_text(const fs::path& path) { return path.extension() == ".txt"; }
bool is_jsonl(const fs::path& path) { return path.extension() == ".jsonl"; }

std::int64_t count_replacements(std::string_view text) {
  std::int64_t count = 0;
  for (std::size_t at = text.find(kReplacement); at != std::string_view::npos; at = text.find(kReplacement, at + 3)) ++count;
  return count;
}

InputFile input_file(const fs::path& path, std::string name, std::size_t source) {
  std::error_code error;
  const auto size = fs::file_size(path, error);
  if (error) throw DataError(fmt::format("{}: cannot read the file: {}", path.string(), error.message()));
  return {path, std::move(name), source, static_cast<std::int64_t>(size)};
}

void list_directory(const Source& source, std::size_t index, std::vector<InputFile>& files) {
  std::vector<InputFile> found;
  std::error_code error;
  fs::recursive_directory_iterator entry(source.path, error), end;
  for (; !error && entry != end; entry.increment(error)) {
    const fs::path& path = entry->path();
    if (!entry->is_regular_file() || (!is_text(path) && !is_jsonl(path))) continue;
    found.push_back(input_file(path, fs::path(path).lexically_relative(source.path).generic_string(), index));
  }
  if (error) throw DataError(fmt::format("{}: cannot list the directory: {}", source.path.string(), error.message()));
  if (found.empty())
    throw DataError(fmt::format("source {}: {} holds no .txt or .jsonl file; give a directory with text in it, or one such file",
                                source.name, source.path.string()));
  std::sort(found.begin(), found.end(), [](const InputFile& a, const InputFile& b) { return a.name < b.name; });
  files.insert(files.end(), found.begin(), found.end());
}

/// A file read line by line, each hashed as it passes.
class LineFile {
 public:
  explicit LineFile(const fs::path& path) : path_(path), descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (descriptor_ < 0) throw DataError(fmt::format("{}: cannot open the file: {}", path.string(), std::strerror(errno)));
  }
  ~LineFile() { ::close(descriptor_); }
  LineFile(const LineFile&) = delete;
  LineFile& operator=(const LineFile&) = delete;

  /// The next line without its newline; valid until the next call. The buffer always has simdjson's padding behind the line.
  bool next(std::string_view& line) {
    for (;;) {
      const std::size_t newline = std::string_view(buffer_).substr(0, filled_).find('\n', searched_);
      const bool last = newline == std::string_view::npos && ended_;
      if (newline != std::string_view::npos || (last && begin_ < filled_)) {
        const std::size_t end = last ? filled_ : newline;
        line = std::string_view(buffer_).substr(begin_, end - begin_);
        offset_ = discarded_ + static_cast<std::int64_t>(begin_);
        begin_ = searched_ = std::min(end + 1, filled_);
        ++number_;
        check_length(line.size());
        return true;
      }
      if (ended_) return false;
      searched_ = filled_;
      fill();
    }
  }
  std::int64_t number() const { return number_; }
  std::int64_t offset() const { return offset_; }
  std::int64_t bytes_read() const { return bytes_; }
  std::string digest() { return hash_.finish_hex(); }

 private:
  static constexpr std::size_t kPiece = std::size_t{1} << 20;

  void check_length(std::size_t length) const {
    if (static_cast<std::int64_t>(length) > kMaxLineBytes)
      throw DataError(fmt::format("{}:{}: the line is longer than {} MiB, the most a document may have; split it", path_.string(), number_,
                                  kMaxLineBytes >> 20));
  }

  void fill() {
    discarded_ += static_cast<std::int64_t>(begin_);
    buffer_.erase(0, begin_);
    filled_ -= begin_;
    searched_ -= begin_;
    begin_ = 0;
    if (static_cast<std::int64_t>(filled_) > kMaxLineBytes) {
      ++number_;
      check_length(filled_);
    }
    buffer_.resize(filled_ + kPiece + simdjson::SIMDJSON_PADDING);
    ssize_t n;
    do n = ::read(descriptor_, buffer_.data() + filled_, kPiece);
    while (n < 0 && errno == EINTR);
    if (n < 0) throw DataError(fmt::format("{}: cannot read the file: {}", path_.string(), std::strerror(errno)));
    hash_.update(std::as_bytes(std::span(buffer_)).subspan(filled_, static_cast<std::size_t>(n)));
    filled_ += static_cast<std::size_t>(n);
    bytes_ += n;
    ended_ = n == 0;
  }

  fs::path path_;
  int descriptor_;
  std::string buffer_ = std::string(simdjson::SIMDJSON_PADDING, '\0');
  std::size_t begin_ = 0, searched_ = 0, filled_ = 0;  // of the line, of the search for its end, of what was read
  std::int64_t discarded_ = 0, offset_ = 0, number_ = 0, bytes_ = 0;
  bool ended_ = false;
  files::Sha256 hash_;
};

}  // namespace

std::vector<InputFile> list_files(const std::vector<Source>& sources) {
  std::vector<InputFile> files;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    const Source& source = sources[i];
    if (!fs::exists(source.path))
      throw DataError(fmt::format("source {}: {} does not exist; give a .txt or .jsonl file or a directory of them", source.name,
                                  source.path.string()));
    if (fs::is_directory(source.path))
      list_directory(source, i, files);
    else if (is_text(source.path) || is_jsonl(source.path))
      files.push_back(input_file(source.path, source.path.filename().string(), i));
    else
      throw DataError(fmt::format("source {}: {} is of no kind that is read; allowed: .txt (a document a file), .jsonl (a document a line)",
                                  source.name, source.path.string()));
  }
  return files;
}

class DocumentReader::Impl {
 public:
  Impl(std::vector<InputFile> files, IngestOptions options) : files_(std::move(files)), options_(std::move(options)) {}

  bool next(Document& document) {
    while (current_ < files_.size()) {
      const InputFile& file = files_[current_];
      document.source = file.source;
      document.file = current_;
      if (is_text(file.path) ? next_text(file, document) : next_line(file, document)) return true;
      bytes_ += summary_.bytes;
      summaries_.push_back(std::exchange(summary_, {}));
      opened_ = false;
      ++current_;
    }
    return false;
  }
  const std::vector<FileSummary>& summaries() const { return summaries_; }
  std::int64_t bytes_read() const { return bytes_ + (lines_ ? lines_->bytes_read() : summary_.bytes); }

 private:
  bool next_text(const InputFile& file, Document& document) {
    if (opened_) return false;
    opened_ = true;
    try {
      text_ = files::read_file(file.path, kMaxTextFileBytes);
    } catch (const Error& error) {
      throw DataError(error.what());
    }
    summary_.bytes = static_cast<std::int64_t>(text_.size());
    summary_.sha256 = files::sha256_hex(text_);
    document.line = 0;
    require_utf8(text_, [&](std::size_t offset) { return fmt::format("{}: byte offset {}", file.path.string(), offset); });
    return take(text_, document);
  }

  bool next_line(const InputFile& file, Document& document) {
    if (!lines_) lines_ = std::make_unique<LineFile>(file.path);
    std::string_view line;
    while (lines_->next(line)) {
      if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
      document.line = lines_->number();
      const std::string where = document_name(file, document.line);
      const std::string replaced = utf8_line(line, where);
      const std::string_view text = replaced.empty() ? field_of(line, false, where) : field_of(replaced, true, where);
      if (take(text, document)) return true;
    }
    summary_.bytes = lines_->bytes_read();
    summary_.sha256 = lines_->digest();
    lines_.reset();
    return false;
  }

  /// The line with invalid UTF-8 replaced, or nothing when it is valid as it is.
  std::string utf8_line(std::string_view line, const std::string& where) {
    if (simdjson::validate_utf8(line.data(), line.size())) return {};
    std::string copy(line);
    const std::int64_t offset = lines_->offset();
    require_utf8(copy, [&](std::size_t at) { return fmt::format("{}: byte offset {}", where, offset + static_cast<std::int64_t>(at)); });
    return copy;
  }

  template <class Where>
  void require_utf8(std::string& text, const Where& where) {
    if (simdjson::validate_utf8(text.data(), text.size())) return;
    if (options_.invalid_utf8 == InvalidUtf8::error)
      throw DataError(
          fmt::format("{}: invalid UTF-8 (byte 0x{:02x}); repair the file, or replace such bytes by U+FFFD with "
                      "--invalid-utf8 replace",
                      where(first_invalid_utf8(text).value_or(0)), static_cast<unsigned char>(text[first_invalid_utf8(text).value_or(0)])));
    const std::int64_t before = count_replacements(text);
    text = replace_invalid_utf8(text);
    summary_.replaced_sequences += count_replacements(text) - before;
  }

  /// The text field of one JSON object. Without `copy` the line must have simdjson's padding behind it, as LineFile's lines have.
  std::string_view field_of(std::string_view line, bool copy, const std::string& where) {
    if (line.size() > parser_.capacity() &&
        parser_.allocate(std::max(line.size(), std::size_t{1} << 16), kMaxJsonDepth) != simdjson::SUCCESS)
      throw Error(fmt::format("{}: no memory to parse a line of {} bytes", where, line.size()));
    simdjson::dom::element element;
    if (const auto error = parser_.parse(line.data(), line.size(), copy).get(element))
      throw DataError(fmt::format("{}: not a JSON document: {}", where, simdjson::error_message(error)));
    simdjson::dom::object object;
    if (element.get(object))
      throw DataError(
          fmt::format("{}: not a JSON object; a line is one object with the text in its field \"{}\"", where, options_.text_field));
    simdjson::dom::element field;
    if (object.at_key(options_.text_field).get(field))
      throw DataError(fmt::format("{}: no field \"{}\"; the line has {}; name the right one with --text-field", where, options_.text_field,
                                  keys_of(object)));
    std::string_view text;
    if (field.get(text)) throw DataError(fmt::format("{}: the field \"{}\" is not a string", where, options_.text_field));
    return text;
  }

  static std::string keys_of(const simdjson::dom::object& object) {
    std::string keys;
    int count = 0;
    for (const auto field : object) {
      if (++count > 8) return keys + ", …";
      keys += fmt::format("{}\"{}\"", keys.empty() ? "" : ", ", field.key);
    }
    return keys.empty() ? "no fields at all" : keys;
  }

  bool take(std::string_view text, Document& document) {
    if (text.empty()) {
      ++summary_.empty_documents;
      return false;
    }
    document.text = text;
    return true;
  }

  std::vector<InputFile> files_;
  IngestOptions options_;
  std::size_t current_ = 0;
  bool opened_ = false;
  std::string text_;
  std::unique_ptr<LineFile> lines_;
  simdjson::dom::parser parser_;
  FileSummary summary_;
  std::vector<FileSummary> summaries_;
  std::int64_t bytes_ = 0;
};

std::string document_name(const InputFile& file, std::int64_t line) {
  return line > 0 ? fmt::format("{}:{}", file.path.string(), line) : file.path.string();
}

DocumentReader::DocumentReader(std::vector<InputFile> files, IngestOptions options)
    : impl_(std::make_unique<Impl>(std::move(files), std::move(options))) {}
DocumentReader::~DocumentReader() = default;
bool DocumentReader::next(Document& document) { return impl_->next(document); }
const std::vector<FileSummary>& DocumentReader::summaries() const { return impl_->summaries(); }
std::int64_t DocumentReader::bytes_read() const { return impl_->bytes_read(); }

bool is_heldout(std::string_view text, std::string_view salt, double fraction) {
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(), &XXH3_freeState);
  XXH3_64bits_reset(state.get());
  XXH3_64bits_update(state.get(), salt.data(), salt.size());
  XXH3_64bits_update(state.get(), text.data(), text.size());
  // Exact: a double holds fraction · 2⁶⁴ (a power of two), and 2⁶⁴ itself is never reached because fraction < 1.
  return XXH3_64bits_digest(state.get()) < static_cast<std::uint64_t>(std::ldexp(fraction, 64));
}

}  // namespace longhaul::data
