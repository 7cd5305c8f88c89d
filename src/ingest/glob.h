// ingest/glob.h — patterns of file names: what `--include` and `--exclude` compare with, and the paths that a source's pattern names.
//
// `*` and `?` stand for any characters and any one character except '/', `[a-z]` and `[!a-z]` for one of a set, `**/` for any folders
// or none. `{a,b}` stands for each alternative and `{000..119}` for each number, with as many digits as the first has. As in the shell,
// a pattern does not match a name that begins with '.' unless it begins so itself.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace longhaul::ingest {

/// Whether `pattern` (without braces) describes all of `name`.
bool glob_matches(std::string_view pattern, std::string_view name);

/// Whether `name`, a path relative to its source, is meant by a pattern of --include or --exclude: a pattern without '/' describes the
/// file's own name or that of a folder above it; one with '/' describes the path, or that of a folder above the file.
bool pattern_selects(std::string_view pattern, std::string_view name);

/// The alternatives of a pattern with braces, in order; the pattern itself when it has none.
/// @throws UsageError for more than 100,000
std::vector<std::string> expand_braces(std::string_view pattern);

bool has_wildcard(std::string_view pattern);

struct GlobMatch {
  std::filesystem::path path;
  std::string name;  ///< relative to the part of the pattern before its first wildcard
};

/// The files and folders that a pattern (without braces) describes, in byte order of their names.
std::vector<GlobMatch> glob_paths(std::string_view pattern);

}  // namespace longhaul::ingest
