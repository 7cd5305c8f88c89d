// data/ingest.h — documents from files: .txt (a document a file), .jsonl (a document a line), and directories of them.
//
// Files are visited in byte order of their path and read once, front to back; no more than one document is held in memory. Text is
// valid UTF-8 when it leaves this room: an invalid byte is an error that names file and offset, unless replacement by U+FFFD is asked
// for (data/utf8.h).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace longhaul::data {

struct Source {
  std::string name;
  std::filesystem::path path;  ///< a .txt or .jsonl file, or a directory (searched recursively)
};

enum class InvalidUtf8 { error, replace };

struct IngestOptions {
  std::string text_field = "text";  ///< of a .jsonl line
  InvalidUtf8 invalid_utf8 = InvalidUtf8::error;
};

/// The longest .jsonl line, and the longest .txt file (its bytes must fit the document index's 32 bits with room).
constexpr std::int64_t kMaxLineBytes = std::int64_t{64} << 20;
constexpr std::int64_t kMaxTextFileBytes = std::int64_t{1} << 30;

struct InputFile {
  std::filesystem::path path;
  std::string name;  ///< relative to its source
  std::size_t source = 0;
  std::int64_t bytes = 0;
};

/// The files of all sources, in reading order.
/// @throws DataError for a missing path, an unknown kind of file, or a source without any .txt or .jsonl
std::vector<InputFile> list_files(const std::vector<Source>& sources);

struct Document {
  std::string_view text;  ///< valid until the next call; never empty
  std::size_t source = 0;
  std::size_t file = 0;   ///< index into the list of files
  std::int64_t line = 0;  ///< of a .jsonl file, from 1; 0: the document is the whole file
};

/// How messages and tables name a document: "corpus/a.txt", "corpus/b.jsonl:3".
std::string document_name(const InputFile& file, std::int64_t line);

/// What reading one file found besides documents.
struct FileSummary {
  std::int64_t bytes = 0;
  std::string sha256;                   ///< of the file as it is on disk
  std::int64_t empty_documents = 0;     ///< skipped: no text at all
  std::int64_t replaced_sequences = 0;  ///< invalid UTF-8 replaced
};

/// Hands out the documents of a list of files, one after another.
class DocumentReader {
 public:
  DocumentReader(std::vector<InputFile> files, IngestOptions options);
  ~DocumentReader();
  DocumentReader(const DocumentReader&) = delete;
  DocumentReader& operator=(const DocumentReader&) = delete;

  /// False at the end of the last file.
  /// @throws DataError naming file:line (or file and byte offset) and what is allowed
  bool next(Document& document);
  /// One for each file read to its end so far, in order.
  const std::vector<FileSummary>& summaries() const;
  std::int64_t bytes_read() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

/// Whether a document belongs to the held-out split: XXH3-64(salt bytes, document bytes) < fraction · 2⁶⁴. It depends on nothing but the
/// document and the salt, so equal documents are never on both sides and adding sources moves no document.
bool is_heldout(std::string_view text, std::string_view salt, double fraction);

}  // namespace longhaul::data
