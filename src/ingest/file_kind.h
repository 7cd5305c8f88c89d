// ingest/file_kind.h — what a file is by its name: text, rows, a table or an archive, before the ending of a compressed file. Case is
// ignored.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace longhaul::ingest {

enum class FileKind {
  text,  ///< .txt, .text: one document, unless it is split
  rows,  ///< .jsonl, .ndjson: an object a line
  json,  ///< .json: an array of objects, or an object a line
  csv,   ///< .csv, .tsv: a table whose first record names the columns
  tar,   ///< .tar, .tgz: WebDataset's archives of samples
  parquet,
};

/// Every name that is read, for messages.
inline constexpr const char* kKnownNames =
    ".txt, .text (a document a file), .jsonl, .ndjson (a document a line), .json (an array or lines), .csv, .tsv (a document a record), "
    ".tar (a document a sample), each also as .gz, .zst, .xz, .bz2; .parquet (a document a row)";

std::string lower_case(std::string_view text);  ///< of ASCII letters

/// Nothing for a name that is not known.
std::optional<FileKind> kind_of_name(std::string_view name);

/// Of a table: a tab for .tsv, else a comma.
char separator_of_name(std::string_view name);

}  // namespace longhaul::ingest
