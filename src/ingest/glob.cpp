#include "ingest/glob.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <system_error>

#include "units/error.h"

namespace longhaul::ingest {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kMaxAlternatives = 100000;

/// The set `[…]` at the start of `pattern`: whether it holds `c`, and its length; length 0 when it is not closed (an ordinary '[').
struct SetMatch {
  bool holds = false;
  std::size_t length = 0;
};

SetMatch match_set(std::string_view pattern, char c) {
  std::size_t at = 1;
  const bool negated = at < pattern.size() && (pattern[at] == '!' || pattern[at] == '^');
  at += negated;
  bool found = false;
  for (bool first = true; at < pattern.size() && (first || pattern[at] != ']'); first = false) {
    const auto low = static_cast<unsigned char>(pattern[at]);
    auto high = low;
    if (at + 2 < pattern.size() && pattern[at + 1] == '-' && pattern[at + 2] != ']') {
      high = static_cast<unsigned char>(pattern[at + 2]);
      at += 2;
    }
    found = found || (low <= static_cast<unsigned char>(c) && static_cast<unsigned char>(c) <= high);
    ++at;
  }
  if (at >= pattern.size()) return {};
  return {found != negated && c != '/', at + 1};
}

/// Whether the first element of `pattern`, no star, describes the character `c`; its length goes to `length`.
bool match_one(std::string_view pattern, char c, std::size_t& length) {
  length = 1;
  if (pattern[0] == '?') return c != '/';
  if (pattern[0] == '[') {
    const SetMatch set = match_set(pattern, c);
    if (set.length > 0) {
      length = set.length;
      return set.holds;
    }
  }
  return pattern[0] == c;
}

/// One component against one name: linear in the name for each star, since only the last star needs to be tried again.
bool match_component(std::string_view pattern, std::string_view name) {
  if (!name.empty() && name[0] == '.' && (pattern.empty() || pattern[0] != '.')) return false;
  std::size_t p = 0, n = 0, length = 0;
  std::optional<std::pair<std::size_t, std::size_t>> star;  // behind the last star, and the name's place that it reaches to
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = {++p, n};
    } else if (p < pattern.size() && match_one(pattern.substr(p), name[n], length)) {
      p += length;
      ++n;
    } else if (star) {
      p = star->first;
      n = ++star->second;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

struct Parts {
  std::string_view first, rest;
  bool last = false;
};
Parts split_path(std::string_view path) {
  const std::size_t slash = path.find('/');
  if (slash == std::string_view::npos) return {path, {}, true};
  return {path.substr(0, slash), path.substr(slash + 1), false};
}

/// "07..12": the numbers as text, padded as the first one is.
std::optional<std::vector<std::string>> number_range(std::string_view text) {
  const std::size_t dots = text.find("..");
  if (dots == std::string_view::npos) return std::nullopt;
  const std::string_view low = text.substr(0, dots), high = text.substr(dots + 2);
  const auto number = [](std::string_view digits) -> std::optional<std::uint64_t> {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (digits.empty() || error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
    return value;
  };
  const auto from = number(low), to = number(high);
  if (!from || !to || *from > *to) return std::nullopt;
  if (*to - *from >= kMaxAlternatives)
    throw UsageError(fmt::format("{{{}}}: stands for more than {} files; give a directory or a pattern with *", text, kMaxAlternatives));
  std::vector<std::string> names;
  for (std::uint64_t value = *from; value <= *to; ++value) names.push_back(fmt::format("{:0{}}", value, low.size()));
  return names;
}

std::vector<std::string> alternatives(std::string_view text) {
  if (auto range = number_range(text)) return *range;
  std::vector<std::string> items;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t comma = std::min(text.find(',', begin), text.size());
    items.emplace_back(text.substr(begin, comma - begin));
    begin = comma + 1;
  }
  return items;
}

std::vector<fs::path> entries_of(const fs::path& directory) {
  std::vector<fs::path> entries;
  std::error_code error;
  for (fs::directory_iterator entry(directory.empty() ? "." : directory, error), end; !error && entry != end; entry.increment(error))
    entries.push_back(entry->path().filename());
  std::sort(entries.begin(), entries.end(), [](const fs::path& a, const fs::path& b) { return a.native() < b.native(); });
  return entries;
}

void collect_matches(const fs::path& directory, const std::string& name, std::string_view pattern, std::vector<GlobMatch>& found) {
  const Parts parts = split_path(pattern);
  const bool any_depth = parts.first == "**";
  if (any_depth && !parts.last) collect_matches(directory, name, parts.rest, found);
  for (const fs::path& entry : entries_of(directory)) {
    const fs::path path = directory / entry;
    const std::string inner = name + entry.string();
    std::error_code ignored;
    if (any_depth) {
      if (entry.native()[0] == '.') continue;
      if (parts.last) found.push_back({path, inner});
      // A link to a folder is not followed here: it could lead back.
      if (!parts.last && fs::is_directory(fs::symlink_status(path, ignored))) collect_matches(path, inner + "/", pattern, found);
    } else if (match_component(parts.first, entry.native())) {
      if (parts.last)
        found.push_back({path, inner});
      else if (fs::is_directory(path, ignored))
        collect_matches(path, inner + "/", parts.rest, found);
    }
  }
}

}  // namespace

bool glob_matches(std::string_view pattern, std::string_view name) {
  const Parts wanted = split_path(pattern), given = split_path(name);
  if (wanted.first == "**") {
    if (wanted.last) return true;
    return glob_matches(wanted.rest, name) || (!given.last && glob_matches(pattern, given.rest));
  }
  if (!match_component(wanted.first, given.first) || wanted.last != given.last) return false;
  return wanted.last || glob_matches(wanted.rest, given.rest);
}

bool pattern_selects(std::string_view pattern, std::string_view name) {
  while (pattern.size() > 1 && pattern.back() == '/') pattern.remove_suffix(1);
  if (pattern.find('/') == std::string_view::npos) {
    for (Parts parts = split_path(name);; parts = split_path(parts.rest)) {
      if (match_component(pattern, parts.first)) return true;
      if (parts.last) return false;
    }
  }
  for (std::size_t end = name.find('/'); end != std::string_view::npos; end = name.find('/', end + 1))
    if (glob_matches(pattern, name.substr(0, end))) return true;
  return glob_matches(pattern, name);
}

std::vector<std::string> expand_braces(std::string_view pattern) {
  const std::size_t open = pattern.find('{');
  const std::size_t close = open == std::string_view::npos ? open : pattern.find('}', open);
  if (close == std::string_view::npos) return {std::string(pattern)};
  const std::vector<std::string> middles = alternatives(pattern.substr(open + 1, close - open - 1));
  const std::vector<std::string> ends = expand_braces(pattern.substr(close + 1));
  if (middles.size() * ends.size() > kMaxAlternatives)
    throw UsageError(fmt::format("{}: stands for more than {} files; give a directory or a pattern with *", pattern, kMaxAlternatives));
  std::vector<std::string> all;
  for (const std::string& middle : middles)
    for (const std::string& end : ends) all.push_back(fmt::format("{}{}{}", pattern.substr(0, open), middle, end));
  return all;
}

bool has_wildcard(std::string_view pattern) { return pattern.find_first_of("*?[") != std::string_view::npos; }

std::vector<GlobMatch> glob_paths(std::string_view pattern) {
  const std::size_t wildcard = pattern.find_first_of("*?[");
  const std::size_t slash = wildcard == std::string_view::npos ? pattern.rfind('/') : pattern.substr(0, wildcard).rfind('/');
  const std::size_t begin = slash == std::string_view::npos ? 0 : slash + 1;
  std::vector<GlobMatch> found;
  collect_matches(fs::path(pattern.substr(0, begin)), "", pattern.substr(begin), found);
  std::sort(found.begin(), found.end(), [](const GlobMatch& a, const GlobMatch& b) { return a.name < b.name; });
  const auto same = [](const GlobMatch& a, const GlobMatch& b) { return a.name == b.name; };  // "**/**/x" finds x several times
  found.erase(std::unique(found.begin(), found.end(), same), found.end());
  return found;
}

}  // namespace longhaul::ingest
