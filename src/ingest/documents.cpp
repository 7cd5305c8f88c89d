#include "ingest/documents.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <optional>
#include <utility>

#include "ingest/file_kind.h"
#include "ingest/file_text.h"
#include "ingest/formats/csv_rows.h"
#include "ingest/formats/disk_file.h"
#include "ingest/formats/json_array.h"
#include "ingest/formats/parquet_rows.h"
#include "ingest/formats/tar_rows.h"
#include "ingest/line_rows.h"
#include "ingest/token_file.h"
#include "units/error.h"
#include "units/utf8.h"

namespace longhaul::ingest {

namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

std::int64_t count_replacements(std::string_view text) {
  std::int64_t count = 0;
  for (std::size_t at = text.find(kReplacement); at != std::string_view::npos; at = text.find(kReplacement, at + 3)) ++count;
  return count;
}

/// A fault of the bytes of a text: where, and in what words.
struct ByteFault {
  std::size_t offset = 0;
  std::string reason, what, fix;
};

/// Nothing when `text` is valid UTF-8 without NUL bytes.
std::optional<ByteFault> find_byte_fault(std::string_view text) {
  const std::size_t nul = text.find('\0');
  if (simdjson::validate_utf8(text.data(), text.size())) {
    if (nul == std::string_view::npos) return std::nullopt;
    return ByteFault{nul, "NUL byte", "a NUL byte, which no text has",
                     "--invalid-utf8 replace makes it U+FFFD, skip-document leaves the document out"};
  }
  const std::size_t bad = first_invalid_utf8(text).value_or(0);
  const std::string what = fmt::format("invalid UTF-8 (byte 0x{:02x})", static_cast<unsigned char>(text[bad]));
  if (looks_like_windows1252(text.substr(0, std::size_t{1} << 20)))
    return ByteFault{bad, "invalid UTF-8", what + ", probably Windows-1252",
                     "--encoding windows-1252 reads it; else --invalid-utf8 replace makes such bytes U+FFFD, skip-document leaves it out"};
  return ByteFault{bad, "invalid UTF-8", what,
                   "repair the file, or replace such bytes by U+FFFD with --invalid-utf8 replace, or leave the document out with "
                   "--invalid-utf8 skip-document"};
}

/// The size of `text` without its last character, which may be cut.
std::size_t whole_characters(std::string_view text) {
  std::size_t size = text.size();
  while (size > 0 && (static_cast<unsigned char>(text[size - 1]) & 0xC0) == 0x80) --size;
  return size > 0 && static_cast<unsigned char>(text[size - 1]) >= 0xC0 ? size - 1 : size;
}

std::string replace_bytes(std::string_view text) {
  std::string repaired = replace_invalid_utf8(text);
  for (std::size_t at = repaired.find('\0'); at != std::string::npos; at = repaired.find('\0', at)) repaired.replace(at, 1, kReplacement);
  return repaired;
}

}  // namespace

std::string_view invalid_utf8_name(InvalidUtf8 policy) {
  return policy == InvalidUtf8::stop ? "stop" : policy == InvalidUtf8::replace ? "replace" : "skip-document";
}
std::string_view bad_rows_name(BadRows policy) { return policy == BadRows::stop ? "stop" : policy == BadRows::skip ? "skip" : "replace"; }

std::string document_name(const InputFile& file, std::int64_t line) {
  return line > 0 ? fmt::format("{}:{}", file.path.string(), line) : file.path.string();
}

class DocumentReader::Impl {
 public:
  Impl(std::vector<InputFile> files, IngestOptions options, std::function<void(const RejectedRow&)> rejected)
      : files_(std::move(files)), options_(std::move(options)), rejected_(std::move(rejected)) {}

  bool next(Document& document) {
    for (; current_ < files_.size(); close()) {
      if (!file_) open();
      document.source = files_[current_].source;
      document.file = current_;
      document.ids = {};
      if (files_[current_].tokens ? next_tokens(document) : rows_ ? next_row(document) : next_piece(document)) {
        ++summary_.documents;
        return true;
      }
    }
    return false;
  }
  const std::vector<FileSummary>& summaries() const { return summaries_; }
  std::int64_t bytes_read() const { return bytes_ + (file_ ? disk_bytes() : 0); }

 private:
  void open() {
    const InputFile& file = files_[current_];
    const FileKind kind = kind_of_name(file.name).value_or(FileKind::text);
    auto opened = std::make_unique<DiskFile>(file.path);
    DiskFile* const disk = opened.get();
    const RowOptions rows{options_.text_field, options_.last_of_repeated_keys, options_.metadata, options_.bad_rows == BadRows::replace};
    if (file.tokens) {
      open_tokens(std::move(opened), *file.tokens);
    } else if (kind == FileKind::tar || kind == FileKind::parquet) {
      if (file.encoding != Encoding::utf8)
        throw DataError(
            fmt::format("{}: text in archives and Parquet files is utf-8, and not converted from {}; make it a source of its own",
                        file.path.string(), encoding_name(file.encoding)));
      if (kind == FileKind::tar)
        rows_ = std::make_unique<TarRows>(decompressed(std::move(opened), file.path.string()), rows);
      else
        rows_ = std::make_unique<ParquetRows>(std::move(opened), rows);
    } else {
      text_ = std::make_unique<FileText>(file, std::move(opened));
      open_text(kind, rows);
    }
    file_ = disk;
  }

  void open_tokens(std::unique_ptr<DiskFile> file, TokenFormat format) {
    if (!is_token_index_name(files_[current_].name, format)) {
      tokens_ = std::make_unique<TokenFile>(std::move(file), format, *options_.vocabulary);
      return;
    }
    std::filesystem::path bin = file->path();
    if (!std::filesystem::exists(bin.replace_extension(".bin")))
      throw DataError(fmt::format("{}: an index without its ids: {} is not there", file->path().string(), bin.string()));
    token_index_ = std::move(file);  // hashed, as all that is read
  }

  void open_text(FileKind kind, const RowOptions& rows) {
    const InputFile& file = files_[current_];
    const auto more = [this](std::string& text) { return options_.sample_bytes == 0 ? text_->more(text) : more_of_sample(text); };
    if (kind == FileKind::text)
      pieces_.emplace(more, options_.split, file.path.string());
    else if (kind == FileKind::csv)
      rows_ = std::make_unique<CsvRows>(more, separator_of_name(file.name), rows, file.path.string());
    else if (kind == FileKind::json && is_json_array(text_->head()))
      rows_ = std::make_unique<JsonArrayRows>(more, rows);
    else
      rows_ = std::make_unique<LineRows>(more, rows);
  }

  /// Of the current file: how much of it what was read came from.
  std::int64_t disk_bytes() const {
    if (tokens_) return tokens_->bytes_read();
    const auto known = rows_ ? rows_->disk_bytes() : std::nullopt;
    return known.value_or(file_->position());
  }

  void close() {
    if (options_.sample_bytes == 0) summary_.sha256 = file_->sha256();
    summary_.bytes = disk_bytes();
    if (sample_.given < sample_.read) summary_.bytes = summary_.bytes * sample_.given / sample_.read;
    sample_ = {};
    summary_.separator = separators_.most_frequent(summary_.separator_count);
    bytes_ += summary_.bytes;
    summaries_.push_back(std::exchange(summary_, {}));
    separators_ = {};
    rows_.reset();
    pieces_.reset();
    text_.reset();
    tokens_.reset();
    token_index_.reset();
    file_ = nullptr;
    ++current_;
  }

  /// The next piece of a sample, which ends with a line (in text without line ends: with a character).
  bool more_of_sample(std::string& text) {
    if (sample_.ended) return false;
    const std::size_t before = text.size();
    const bool more = text_->more(text);
    sample_.read += static_cast<std::int64_t>(text.size() - before);
    if (sample_.read >= options_.sample_bytes) {
      const std::size_t newline = text.rfind('\n');
      const bool line_ends = newline != std::string::npos && newline >= before;
      const bool lines = dynamic_cast<const LineRows*>(rows_.get()) != nullptr;  // which end with a line end
      sample_.ended = line_ends || !lines;
      if (line_ends)
        text.resize(newline + 1);
      else if (!lines)
        text.resize(before + whole_characters(std::string_view(text).substr(before)));
    }
    sample_.given += static_cast<std::int64_t>(text.size() - before);
    return more;
  }

  bool next_piece(Document& document) {
    std::string_view piece;
    while (pieces_->next(piece)) {
      ++summary_.rows;
      const TextPlace place = pieces_->place();
      document.line = options_.split.whole() ? 0 : place.line;
      document.metadata.clear();
      if (piece.empty()) {
        skip_empty(document.line);
        continue;
      }
      if (!repair(piece, document.line, place.byte)) continue;
      if (options_.split.whole()) separators_.count(piece);
      document.text = piece;
      return true;
    }
    return false;
  }

  bool next_tokens(Document& document) {
    while (tokens_ && !sample_.full && tokens_->next(token_document_)) {
      document.line = ++summary_.rows;
      document.metadata.clear();
      sample_.given += std::ssize(token_document_.text);
      sample_.full = options_.sample_bytes > 0 && sample_.given >= options_.sample_bytes;
      if (token_document_.text.empty()) {
        skip_empty(document.line);
        continue;
      }
      document.text = token_document_.text;
      document.ids = token_document_.ids;
      return true;
    }
    return false;
  }

  bool next_row(Document& document) {
    Row row;
    while (!sample_.full && rows_->next(row)) {
      if (sample_.ended && row.fault) return false;  // cut by the end of the sample
      ++summary_.rows;
      if (!text_ && options_.sample_bytes > 0) {  // a sample of whole rows
        sample_.given += std::ssize(row.raw);
        sample_.full = sample_.given >= options_.sample_bytes;
      }
      document.line = row.line;
      if (!repair(row.raw, row.line, row.byte)) continue;
      if (!row.fault) rows_->read(row);
      if (row.fault && row.fault->expected) {
        count_skipped(row.fault->reason, row.line);
      } else if (row.fault) {
        reject(row.line, row.byte, *row.fault, row.raw);
      } else if (row.text.empty()) {
        skip_empty(row.line);
      } else {
        summary_.replaced_sequences += row.replaced;
        document.text = row.text;
        document.metadata = std::move(row.metadata);
        return true;
      }
    }
    return false;
  }

  /// Applies the policy to bytes that are no text. False: the document is skipped.
  bool repair(std::string_view& text, std::int64_t line, std::int64_t byte) {
    const std::optional<ByteFault> fault = find_byte_fault(text);
    if (!fault) return true;
    const std::int64_t at = byte + static_cast<std::int64_t>(fault->offset);
    if (options_.invalid_utf8 == InvalidUtf8::stop)
      throw DataError(
          fmt::format("{}: byte offset {}{}: {}; {}", document_name(files_[current_], line), at, converted(), fault->what, fault->fix));
    if (options_.invalid_utf8 == InvalidUtf8::skip_document) {
      count_rejected(line, byte, {fault->reason, fmt::format("byte offset {}: {}", at, fault->what)}, text, true);
      return false;
    }
    repaired_ = replace_bytes(text);
    summary_.replaced_sequences += count_replacements(repaired_) - count_replacements(text);
    text = repaired_;
    return true;
  }

  std::string converted() const {
    const Encoding encoding = files_[current_].encoding;
    return encoding == Encoding::utf8 ? "" : fmt::format(" of the text read as {}", encoding_name(encoding));
  }

  void reject(std::int64_t line, std::int64_t byte, const RowFault& fault, std::string_view raw) {
    if (options_.bad_rows == BadRows::stop)
      throw DataError(fmt::format("{}: byte {}: {}; --bad-rows skip counts such rows and goes on", document_name(files_[current_], line),
                                  byte, fault.what));
    count_rejected(line, byte, fault, raw, false);
  }

  void count_rejected(std::int64_t line, std::int64_t byte, const RowFault& fault, std::string_view raw, bool is_text_fault) {
    count_skipped(fault.reason, line);
    if (rejected_) rejected_({current_, line, byte, fault.reason, fault.what, raw, is_text_fault});
  }
  void skip_empty(std::int64_t line) { count_skipped("empty", line); }
  void count_skipped(const std::string& reason, std::int64_t line) {
    const std::string& name = files_[current_].name;
    summary_.skipped[reason].add(line > 0 ? fmt::format("{}:{}", name, line) : name);
  }

  std::vector<InputFile> files_;
  IngestOptions options_;
  std::function<void(const RejectedRow&)> rejected_;
  std::size_t current_ = 0;
  DiskFile* file_ = nullptr;        // the current one; belongs to one of these
  std::unique_ptr<FileText> text_;  // unless its rows are no text
  std::optional<TextPieces> pieces_;
  std::unique_ptr<RowReader> rows_;        // unless there are pieces_
  std::unique_ptr<TokenFile> tokens_;      // of a source of token ids
  std::unique_ptr<DiskFile> token_index_;  // of such a source: Megatron's .idx
  TokenDocument token_document_;
  std::string repaired_;
  KnownSeparators separators_;
  struct {
    std::int64_t read = 0, given = 0;  // bytes of text, of the current file
    bool ended = false;                // the text, in the middle of which a row may be
    bool full = false;                 // of whole rows
  } sample_;
  FileSummary summary_;
  std::vector<FileSummary> summaries_;
  std::int64_t bytes_ = 0;
};

DocumentReader::DocumentReader(std::vector<InputFile> files, IngestOptions options, std::function<void(const RejectedRow&)> rejected)
    : impl_(std::make_unique<Impl>(std::move(files), std::move(options), std::move(rejected))) {}
DocumentReader::~DocumentReader() = default;
bool DocumentReader::next(Document& document) { return impl_->next(document); }
const std::vector<FileSummary>& DocumentReader::summaries() const { return impl_->summaries(); }
std::int64_t DocumentReader::bytes_read() const { return impl_->bytes_read(); }

}  // namespace longhaul::ingest
