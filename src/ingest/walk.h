// ingest/walk.h — the files of the sources, with an account of everything that was seen: each file is taken, or counted under a
// reason why not.
//
// Within a source files have the byte order of their names, whatever the file system lists first. Links are followed once: folders of the
// source's own come first, then what links lead to, so a file that is there both ways is read under its own name. For each source
// taken + Σ skipped = seen; a folder that is not entered (unreadable, or seen before) counts as one.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ingest/encoding.h"
#include "ingest/tokens.h"

namespace longhaul::ingest {

/// A named part of the corpus. A path is a file, a folder (searched to any depth), a pattern (ingest/glob.h), or a list: `@FILE` names
/// a file with a path a line, relative to the list's own folder.
struct Source {
  Source(std::string source_name, std::filesystem::path path) : name(std::move(source_name)), paths{std::move(path)} {}
  std::string name;
  std::vector<std::filesystem::path> paths;

  /// The paths as given, for messages.
  std::string given() const;
};

struct WalkOptions {
  std::vector<std::string> include;  ///< if any: only files that one of these selects, whatever their extension
  std::vector<std::string> exclude;
  std::map<std::string, Encoding> encodings;       ///< of the files of a source, by its name; "" is that of all others; UTF-8 without
  std::map<std::string, TokenFormat> tokens = {};  ///< likewise of sources that are token ids: of them X.bin (and X.idx) alone are taken

  /// Of a source, by its name.
  std::optional<TokenFormat> tokens_of(const std::string& source) const;
};

enum class SkippedFile {
  unknown_extension,
  hidden,
  leftover,
  empty,
  unreadable,
  excluded,
  not_included,
  special,
  link_cycle,
  dangling_link,
  seen_before,
};
constexpr std::size_t kSkippedFileReasons = 11;
/// "unknown extension", "hidden name" …: the words of tables, messages and manifests.
std::string_view reason_name(SkippedFile reason);

/// What was skipped for one reason, with a few examples.
struct SkippedCount {
  static constexpr std::size_t kNames = 3;
  std::int64_t count = 0;
  std::vector<std::string> names;  ///< the first kNames

  void add(const std::string& name);
};

struct SourceWalk {
  std::int64_t taken = 0;
  std::int64_t bytes = 0;  ///< of the files taken, as they are on disk
  std::array<SkippedCount, kSkippedFileReasons> skipped;

  const SkippedCount& of(SkippedFile reason) const { return skipped[static_cast<std::size_t>(reason)]; }
  std::int64_t skipped_files() const;
  std::int64_t seen() const { return taken + skipped_files(); }
  /// "2 unknown extension (f.md, g.pdf), 1 hidden name (.h.txt)"; empty when nothing was skipped.
  std::string skipped_text() const;
};

struct InputFile {
  std::filesystem::path path;
  std::string name;  ///< relative to its source
  std::size_t source = 0;
  std::int64_t bytes = 0;  ///< on disk
  Encoding encoding = Encoding::utf8;
  std::optional<TokenFormat> tokens = {};  ///< it holds token ids, no text
};

struct Walk {
  std::vector<InputFile> files;     ///< in reading order
  std::vector<SourceWalk> sources;  ///< one for each source
  std::int64_t bytes() const;
};

/// @throws DataError for a path that is not there, or a source of which nothing can be taken (with what was there)
Walk walk_sources(const std::vector<Source>& sources, const WalkOptions& options = {});

}  // namespace longhaul::ingest
