// data/ingest.h — documents from files: .txt (a document a file), .jsonl (a document a line), and directories of them.
//
// Files are visited in byte order of their path and read once, front to back; no more than one document is held in memory. Text is
// valid UTF-8 when it leaves this room: an invalid byte is an error that names file and offset, unless replacement by U+FFFD is asked
// for (one for each maximal ill-formed part, Unicode 15 §3.9, as Python and browsers do).
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
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
  std::string_view text;  ///< valid during the call only; never empty
  std::size_t source = 0;
  std::string_view file;  ///< name relative to its source
  std::int64_t line = 0;  ///< of a .jsonl file, from 1; 0 in a .txt file
};

/// What reading one file found besides documents.
struct FileSummary {
  std::int64_t bytes = 0;
  std::string sha256;  ///< of the file as it is on disk
  std::int64_t documents = 0;
  std::int64_t empty_documents = 0;     ///< skipped: no text at all
  std::int64_t replaced_sequences = 0;  ///< invalid UTF-8 replaced
};

/// Calls `visit` for each document of the file and hashes the file on the way.
/// @throws DataError naming file:line (or file and byte offset) and what is allowed
FileSummary read_documents(const InputFile& file, const IngestOptions& options, const std::function<void(const Document&)>& visit);

/// Offset of the first byte that is not part of well-formed UTF-8, or npos.
std::size_t find_invalid_utf8(std::string_view text);
/// `text` with each maximal ill-formed part replaced by U+FFFD; `count` is increased by their number.
std::string replace_invalid_utf8(std::string_view text, std::int64_t& count);

/// Whether a document belongs to the held-out split: XXH3-64(salt bytes, document bytes) < fraction · 2⁶⁴. It depends on nothing but the
/// document and the salt, so equal documents are never on both sides and adding sources moves no document.
bool is_heldout(std::string_view text, std::string_view salt, double fraction);

}  // namespace longhaul::data
