#include "ingest/walk.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>
#include <utility>

#include "files/read.h"
#include "ingest/file_kind.h"
#include "ingest/glob.h"
#include "units/error.h"

namespace longhaul::ingest {

namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kMaxListBytes = std::uint64_t{256} << 20;

/// What one file is, whatever names lead to it.
using FileId = std::pair<dev_t, ino_t>;

FileId id_of(const struct stat& status) { return {status.st_dev, status.st_ino}; }

bool ends_with_any(std::string_view name, std::initializer_list<std::string_view> endings) {
  return std::any_of(endings.begin(), endings.end(), [&](std::string_view ending) { return name.ends_with(ending); });
}

bool is_hidden_name(std::string_view name) { return name.starts_with('.') || name == "__MACOSX"; }

bool is_leftover_name(std::string_view name) {
  return name.ends_with('~') || (name.size() > 1 && name.starts_with('#') && name.ends_with('#')) ||
         ends_with_any(lower_case(name), {".swp", ".swo", ".bak", ".tmp", ".partial", ".part", ".crdownload"});
}

/// A path as a name in the dataset: relative, without "." and "..".
std::string name_of_path(const fs::path& path) {
  fs::path name;
  for (const fs::path& part : path.relative_path().lexically_normal())
    if (part != ".." && part != ".") name /= part;
  return name.generic_string();
}

std::string_view file_part(std::string_view name) { return name.substr(name.rfind('/') + 1); }

/// Walks the paths of one source.
class SourceWalker {
 public:
  SourceWalker(const Source& source, std::size_t index, const WalkOptions& options) : source_(source), index_(index), options_(options) {
    for (const std::string& name : {std::string(), source.name})
      if (const auto found = options.encodings.find(name); found != options.encodings.end()) encoding_ = found->second;
    tokens_ = options.tokens_of(source.name);
  }

  void add_path(const fs::path& given) {
    const std::string text = given.string();
    std::error_code ignored;
    if (text.starts_with('@') && !fs::exists(given, ignored)) return add_list(text.substr(1));
    if (fs::exists(fs::symlink_status(given, ignored))) return add_root(given, root_name(given), true);
    const std::vector<std::string> patterns = expand_braces(text);
    for (const std::string& pattern : patterns) {
      if (has_wildcard(pattern))
        add_pattern(pattern);
      else
        add_named(pattern, text);
    }
  }

  std::vector<InputFile> finish() && { return std::move(files_); }
  const SourceWalk& walk() const { return walk_; }
  bool is_tokens() const { return tokens_.has_value(); }

 private:
  struct Link {
    fs::path path;
    std::string name;
    std::vector<FileId> above;  // the folders that lead to it
    bool hidden;
  };

  /// Several folders of one source keep their own names in front, so that names differ.
  std::string root_name(const fs::path& path) const {
    const std::string last = name_of_path((path.has_filename() ? path : path.parent_path()).filename());
    return source_.paths.size() > 1 || !fs::is_directory(path) ? last : "";
  }

  void add_list(const fs::path& list) {
    std::string text;
    try {
      text = files::read_file(list, kMaxListBytes);
    } catch (const Error& error) {
      throw DataError(fmt::format("source {}: the list of files {}: {}", source_.name, list.string(), error.what()));
    }
    std::int64_t line = 0;
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = std::min(text.find('\n', begin), text.size());
      std::string name = text.substr(begin, end - begin);
      begin = end + 1;
      ++line;
      if (name.ends_with('\r')) name.pop_back();
      if (name.empty()) continue;
      const fs::path path = list.parent_path() / name;
      std::error_code ignored;
      if (!fs::exists(fs::symlink_status(path, ignored)))
        throw DataError(
            fmt::format("{}:{}: {} does not exist; a list's paths are relative to its folder", list.string(), line, path.string()));
      add_root(path, name_of_path(name), true);
    }
  }

  void add_pattern(const std::string& pattern) {
    const std::vector<GlobMatch> matches = glob_paths(pattern);
    if (matches.empty()) throw DataError(fmt::format("source {}: no file matches {}", source_.name, pattern));
    const std::size_t before = files_.size();
    for (const GlobMatch& match : matches) add_root(match.path, match.name, false);
    sort_from(before);
  }

  void add_named(const std::string& path, const std::string& given) {
    std::error_code ignored;
    if (!fs::exists(fs::symlink_status(path, ignored)))
      throw DataError(fmt::format("source {}: {} does not exist{}; give a file, a folder, a pattern such as \"corpus/*.txt\", or @LIST",
                                  source_.name, path, path == given ? "" : fmt::format(" (of {})", given)));
    add_root(path, root_name(path), true);
  }

  /// A file or folder that was given by name or by a pattern, and everything that it leads to.
  void add_root(const fs::path& path, const std::string& name, bool by_name) {
    const std::size_t before = files_.size();
    follow({path, name, folders_above(path), !by_name && is_hidden_name(file_part(name))}, by_name);
    while (!links_.empty()) {
      std::vector<Link> found = std::exchange(links_, {});
      std::sort(found.begin(), found.end(), [](const Link& a, const Link& b) { return a.name < b.name; });
      for (const Link& link : found) follow(link, false);
    }
    sort_from(before);
  }

  void sort_from(std::size_t begin) {
    std::sort(files_.begin() + static_cast<std::ptrdiff_t>(begin), files_.end(),
              [](const InputFile& a, const InputFile& b) { return a.name < b.name; });
  }

  /// The folders that hold `path`: a link to one of them leads back to it.
  static std::vector<FileId> folders_above(const fs::path& path) {
    std::vector<FileId> above;
    std::error_code error;
    fs::path at = fs::weakly_canonical(fs::absolute(path, error).parent_path(), error);
    for (; !error && !at.empty(); at = at.parent_path()) {
      struct stat status {};
      if (::stat(at.c_str(), &status) == 0) above.push_back(id_of(status));
      if (at == at.root_path()) break;
    }
    return above;
  }

  void skip(SkippedFile reason, const std::string& name) { walk_.skipped[static_cast<std::size_t>(reason)].add(name); }

  /// What a link leads to, or what was given (`named`: by its own name, not by a pattern).
  void follow(const Link& link, bool named) {
    struct stat status {};
    if (::stat(link.path.c_str(), &status) != 0) {
      const int error = errno;
      if (error == EACCES) return skip(SkippedFile::unreadable, link.name);
      return skip(error == ELOOP ? SkippedFile::link_cycle : SkippedFile::dangling_link, link.name);
    }
    if (!S_ISDIR(status.st_mode)) return add_file(link.path, link.name, status, link.hidden, named);
    const FileId id = id_of(status);
    if (!named && std::find(link.above.begin(), link.above.end(), id) != link.above.end())
      return skip(SkippedFile::link_cycle, link.name + "/");
    add_folder(link.path, link.name, id, link.above, link.hidden);
  }

  static std::string shown(const fs::path& folder, const std::string& name) { return (name.empty() ? folder.string() : name) + "/"; }

  void add_folder(const fs::path& path, const std::string& name, FileId id, std::vector<FileId> above, bool hidden) {
    if (!folders_.insert(id).second) return skip(SkippedFile::seen_before, shown(path, name));
    above.push_back(id);
    std::vector<fs::path> entries;
    std::error_code error;
    fs::directory_iterator entry(path, error), end;
    for (; !error && entry != end; entry.increment(error)) entries.push_back(entry->path());
    if (error) return skip(SkippedFile::unreadable, shown(path, name));
    std::sort(entries.begin(), entries.end(), [](const fs::path& a, const fs::path& b) { return a.native() < b.native(); });
    for (const fs::path& inner : entries) {
      const std::string last = inner.filename().string();
      const std::string inner_name = name.empty() ? last : fmt::format("{}/{}", name, last);
      const bool inner_hidden = hidden || is_hidden_name(last);
      struct stat status {};
      if (::lstat(inner.c_str(), &status) != 0)
        skip(SkippedFile::unreadable, inner_name);
      else if (S_ISLNK(status.st_mode))
        links_.push_back({inner, inner_name, above, inner_hidden});
      else if (S_ISDIR(status.st_mode))
        add_folder(inner, inner_name, id_of(status), above, inner_hidden);
      else
        add_file(inner, inner_name, status, inner_hidden, false);
    }
  }

  /// A file that was asked for by its name (`named`) is taken even if that is hidden or a leftover's.
  void add_file(const fs::path& path, const std::string& name, const struct stat& status, bool hidden, bool named) {
    const std::string_view last = file_part(name);
    // An index goes where its .bin goes.
    const std::string asked = tokens_ && is_token_index_name(name, *tokens_) ? fs::path(name).replace_extension(".bin").string() : name;
    const auto selected_by = [&](const std::vector<std::string>& patterns) {
      return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) { return pattern_selects(pattern, asked); });
    };
    if (hidden && !named) return skip(SkippedFile::hidden, name);
    if (selected_by(options_.exclude)) return skip(SkippedFile::excluded, name);
    if (is_leftover_name(last) && !named) return skip(SkippedFile::leftover, name);
    if (!options_.include.empty() && !selected_by(options_.include)) return skip(SkippedFile::not_included, name);
    if (!S_ISREG(status.st_mode)) return skip(SkippedFile::special, name);
    if (options_.include.empty() && !is_known_name(last)) return skip(SkippedFile::unknown_extension, name);
    if (status.st_size == 0) return skip(SkippedFile::empty, name);
    if (::access(path.c_str(), R_OK) != 0) return skip(SkippedFile::unreadable, name);
    if (!taken_.insert(id_of(status)).second) return skip(SkippedFile::seen_before, name);
    ++walk_.taken;
    walk_.bytes += status.st_size;
    files_.push_back({path, name, index_, status.st_size, encoding_, tokens_});
  }

  bool is_known_name(std::string_view name) const { return tokens_ ? is_token_file_name(name, *tokens_) : kind_of_name(name).has_value(); }

  const Source& source_;
  std::size_t index_;
  const WalkOptions& options_;
  Encoding encoding_ = Encoding::utf8;
  std::optional<TokenFormat> tokens_;
  SourceWalk walk_;
  std::vector<InputFile> files_;
  std::vector<Link> links_;   // met and not yet followed
  std::set<FileId> folders_;  // entered
  std::set<FileId> taken_;
};

DataError nothing_taken(const Source& source, const SourceWalk& account, bool tokens) {
  const std::string there = account.seen() == 0 ? "it holds no file" : fmt::format("{} seen: {}", account.seen(), account.skipped_text());
  const SkippedCount& unknown = account.of(SkippedFile::unknown_extension);
  std::string read = kKnownNames, others;
  if (unknown.count > 0) others = "; --include \"*.EXTENSION\" takes others as text";
  if (std::any_of(unknown.names.begin(), unknown.names.end(), [](const std::string& name) { return name.ends_with(".bin"); }))
    others += fmt::format("; --tokens {}=FORMAT takes .bin files of token ids", source.name);
  if (tokens) {
    read = ".bin (token ids), and .idx with --tokens megatron";
    others = "; --include \"*.EXTENSION\" takes others as token ids";
  }
  return DataError(fmt::format("source {}: {}: nothing can be taken; {}; read are {}{}", source.name, source.given(), there, read, others));
}

}  // namespace

std::string Source::given() const {
  std::vector<std::string> texts;
  for (const fs::path& path : paths) texts.push_back(path.string());
  return fmt::format("{}", fmt::join(texts, ", "));
}

std::string_view reason_name(SkippedFile reason) {
  constexpr std::array<std::string_view, kSkippedFileReasons> kNames = {
      "unknown extension", "hidden name",        "editor leftover", "empty",         "unreadable", "excluded",
      "not included",      "not a regular file", "link cycle",      "dangling link", "seen before"};
  return kNames[static_cast<std::size_t>(reason)];
}

void SkippedCount::add(const std::string& name) {
  ++count;
  if (names.size() < kNames) names.push_back(name);
}

std::int64_t SourceWalk::skipped_files() const {
  std::int64_t sum = 0;
  for (const SkippedCount& reason : skipped) sum += reason.count;
  return sum;
}

std::string SourceWalk::skipped_text() const {
  std::string text;
  for (std::size_t i = 0; i < skipped.size(); ++i) {
    const SkippedCount& reason = skipped[i];
    if (reason.count == 0) continue;
    const bool more = reason.count > std::ssize(reason.names);
    text += fmt::format("{}{} {} ({}{})", text.empty() ? "" : ", ", reason.count, reason_name(static_cast<SkippedFile>(i)),
                        fmt::join(reason.names, ", "), more ? ", …" : "");
  }
  return text;
}

std::int64_t Walk::bytes() const {
  std::int64_t sum = 0;
  for (const SourceWalk& source : sources) sum += source.bytes;
  return sum;
}

std::optional<TokenFormat> WalkOptions::tokens_of(const std::string& source) const {
  auto found = tokens.find(source);
  if (found == tokens.end()) found = tokens.find("");
  if (found == tokens.end()) return std::nullopt;
  return found->second;
}

Walk walk_sources(const std::vector<Source>& sources, const WalkOptions& options) {
  std::set<std::string> names;
  for (const Source& source : sources) names.insert(source.name);
  for (const auto& [name, encoding] : options.encodings)
    if (!name.empty() && !names.contains(name))
      throw UsageError(fmt::format("--encoding {}={}: no source is named {}", name, encoding_name(encoding), name));
  for (const auto& [name, format] : options.tokens)
    if (!name.empty() && !names.contains(name))
      throw UsageError(fmt::format("--tokens {}={}: no source is named {}", name, token_format_name(format), name));
  Walk walk;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    SourceWalker walker(sources[i], i, options);
    for (const fs::path& path : sources[i].paths) walker.add_path(path);
    const SourceWalk& account = walker.walk();
    if (account.taken == 0) throw nothing_taken(sources[i], account, walker.is_tokens());
    walk.sources.push_back(account);
    std::vector<InputFile> files = std::move(walker).finish();
    walk.files.insert(walk.files.end(), std::make_move_iterator(files.begin()), std::make_move_iterator(files.end()));
  }
  return walk;
}

}  // namespace longhaul::ingest
