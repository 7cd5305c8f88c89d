// ingest/documents.h — documents from files, one after another, with an account of every row: each is a document, or is counted under
// a reason why not.
//
// Files are read once, front to back, in the order of the walk; no more than one document is held in memory. Text is valid UTF-8 when it
// leaves this room and is otherwise unchanged (but for the text of token ids, ingest/token_file.h). A row is what could be a document: a
// line of a .jsonl file, a text file or a part of one. For each file documents + Σ skipped rows = rows.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/row.h"
#include "ingest/text_pieces.h"
#include "ingest/walk.h"

namespace longhaul::ingest {

/// What happens at invalid UTF-8 and at NUL bytes.
enum class InvalidUtf8 { stop, replace, skip_document };
/// What happens at a row that gives no document. `replace` mends what can be (half surrogate pairs become U+FFFD) and skips the rest.
enum class BadRows { stop, skip, replace };

struct IngestOptions {
  std::string text_field = "text";  ///< of a row: a key or a path, "a.b.0"
  InvalidUtf8 invalid_utf8 = InvalidUtf8::stop;
  BadRows bad_rows = BadRows::stop;
  bool last_of_repeated_keys = false;  ///< else a repeated key is a bad row
  TextSplit split;                     ///< of text files
  std::vector<std::string> metadata;   ///< fields of rows to be kept in the record of documents
  WalkOptions walk;
  std::shared_ptr<const TokenVocabulary> vocabulary;  ///< of sources that are token ids (WalkOptions::tokens)
  std::int64_t sample_bytes = 0;  ///< 0: all of a file; else about so many bytes of text from its start, to the end of a row
};

std::string_view invalid_utf8_name(InvalidUtf8 policy);
std::string_view bad_rows_name(BadRows policy);

struct Document {
  std::string_view text;              ///< valid until the next call; never empty
  std::span<const std::int32_t> ids;  ///< of a source of token ids: those of the text, whose bytes then need not be UTF-8; valid as long
  std::size_t source = 0;
  std::size_t file = 0;   ///< index into the list of files
  std::int64_t line = 0;  ///< where it begins in its file, from 1; 0: the document is the whole file. Of token ids: its number in the file
  std::string metadata;   ///< of a row: IngestOptions::metadata as a JSON object; empty otherwise
};

/// How messages and tables name a document: "corpus/a.txt", "corpus/b.jsonl:3".
std::string document_name(const InputFile& file, std::int64_t line);

/// A row that was skipped, for the record of rejected rows.
struct RejectedRow {
  std::size_t file = 0;
  std::int64_t line = 0, byte = 0;
  std::string_view reason, what;
  std::string_view raw;        ///< as it stands; need not be UTF-8
  bool is_text_fault = false;  ///< of its bytes (InvalidUtf8), not of the row (BadRows)
};

/// What reading one file found besides documents.
struct FileSummary {
  std::int64_t bytes = 0;  ///< of the file on disk (of a sample: those that its text came from)
  std::string sha256;      ///< of the file as it is on disk; empty for a sample
  std::int64_t rows = 0, documents = 0;
  std::map<std::string, SkippedCount> skipped;  ///< rows by reason; the names are file:line
  std::int64_t replaced_sequences = 0;          ///< invalid UTF-8, NUL bytes and half surrogate pairs replaced by U+FFFD
  std::string separator;                        ///< a mark that usually divides documents, often met in a document; else empty
  std::int64_t separator_count = 0;
};

/// Hands out the documents of a list of files, one after another.
class DocumentReader {
 public:
  /// @param rejected  called with each row that is skipped for a fault (not for being empty); may be empty
  DocumentReader(std::vector<InputFile> files, IngestOptions options, std::function<void(const RejectedRow&)> rejected = {});
  ~DocumentReader();
  DocumentReader(const DocumentReader&) = delete;
  DocumentReader& operator=(const DocumentReader&) = delete;

  /// False at the end of the last file.
  /// @throws DataError naming file, line and byte, and what is allowed
  bool next(Document& document);
  /// One for each file read to its end so far, in order.
  const std::vector<FileSummary>& summaries() const;
  std::int64_t bytes_read() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace longhaul::ingest
