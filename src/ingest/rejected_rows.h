// ingest/rejected_rows.h — rejected.jsonl: the rows that gave no document, for whoever mends them.
//
// One line for each: source, file (relative to its source), line and byte where it begins, reason, what is wrong, and the row itself, cut
// after kRowBytes bytes, bytes that are no UTF-8 replaced. The file is made with the first row.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "files/disk.h"
#include "ingest/documents.h"

namespace longhaul::ingest {

class RejectedRows {
 public:
  static constexpr const char* kFileName = "rejected.jsonl";
  static constexpr std::size_t kRowBytes = 1000;

  RejectedRows(const std::filesystem::path& directory, const std::vector<Source>& sources, const std::vector<InputFile>& files)
      : path_(directory / kFileName), sources_(sources), files_(files) {}
  void add(const RejectedRow& row);
  /// The digest of the finished file; nothing when no row was rejected.
  std::optional<files::FileDigest> finish();

 private:
  std::filesystem::path path_;
  const std::vector<Source>& sources_;
  const std::vector<InputFile>& files_;
  std::optional<files::FileWriter> file_;
};

}  // namespace longhaul::ingest
