// ingest/account.h — what was met and what became of it: of a source's files and of its rows, as the manifest keeps it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ingest/documents.h"
#include "ingest/walk.h"

namespace longhaul::ingest {

struct SkippedRecord {
  std::string reason;
  std::int64_t count = 0;
  std::vector<std::string> names;  ///< of the first SkippedCount::kNames
  bool operator==(const SkippedRecord&) const = default;
};

struct Account {
  std::int64_t seen = 0, taken = 0;
  std::vector<SkippedRecord> skipped;  ///< by reason

  std::int64_t skipped_count() const;
  /// taken + Σ skipped = seen: what an account promises.
  bool adds_up() const { return taken + skipped_count() == seen; }
  /// "2 unknown extension (f.md, g.pdf), 1 hidden name (.h.txt)"; empty when nothing was skipped.
  std::string skipped_text() const;
  /// Adds one file's rows.
  void add(const FileSummary& file);
  bool operator==(const Account&) const = default;
};

Account account_of(const SourceWalk& walk);

/// A text file with many marks in it that usually divide documents, which was not divided.
struct UndividedFile {
  std::string path;       ///< relative to its source
  std::string separator;  ///< the most frequent mark
  std::int64_t count = 0;
  bool operator==(const UndividedFile&) const = default;
};

}  // namespace longhaul::ingest
