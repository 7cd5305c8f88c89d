#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "files/read.h"
#include "ledger/ledger.h"
#include "ledger/lines.h"

namespace longhaul::ledger {
namespace {

std::string place(const std::filesystem::path& path, std::size_t number) { return path.string() + ":" + std::to_string(number); }

}  // namespace

FileLines read_lines(const std::filesystem::path& path) {
  FileLines file;
  if (!std::filesystem::exists(path)) return file;
  file.text = files::read_file(path, std::numeric_limits<std::uint64_t>::max());
  std::string_view rest = file.text;
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    if (end == std::string_view::npos) break;
    file.lines.push_back(rest.substr(0, end));
    rest.remove_prefix(end + 1);
  }
  file.torn = rest;
  return file;
}

nlohmann::json parse_line(const std::filesystem::path& path, std::size_t number, std::string_view line) {
  try {
    nlohmann::json document = files::parse_json(line, place(path, number));
    if (!document.is_object()) throw Error(place(path, number) + ": is not an object");
    return document;
  } catch (const Error& error) {
    throw DataError(error.what());
  }
}

namespace {

/// Calls read(line as JSON) of line `i`; an error names the line.
template <class Read>
void read_line(const std::filesystem::path& path, const FileLines& file, std::size_t i, const Read& read) {
  const nlohmann::json document = parse_line(path, i + 1, file.lines[i]);
  try {
    read(document);
  } catch (const Error& error) {
    throw DataError(place(path, i + 1) + ": " + error.what());
  }
}

/// Records of the chain that are no steps have one of these in place of "result".
bool is_setting(const nlohmann::json& document) { return document.contains("change") || document.contains("branch"); }

}  // namespace

std::vector<Record> read_metrics(const std::filesystem::path& path) {
  std::vector<Record> records;
  const FileLines file = read_lines(path);
  for (std::size_t i = 0; i < file.lines.size(); ++i)
    read_line(path, file, i, [&](const nlohmann::json& document) {
      if (!is_setting(document)) records.push_back(record_from_json(document));
    });
  return records;
}

std::optional<Record> read_last_metric(const std::filesystem::path& path) {
  const FileLines file = read_lines(path);
  std::optional<Record> last;
  for (std::size_t i = file.lines.size(); i-- > 0 && !last;)
    read_line(path, file, i, [&](const nlohmann::json& document) {
      if (!is_setting(document)) last = record_from_json(document);
    });
  return last;
}

Settings read_settings(const std::filesystem::path& path) {
  Settings settings;
  const FileLines file = read_lines(path);
  for (std::size_t i = 0; i < file.lines.size(); ++i) {
    // Lines of steps, most of them, begin with their kind too (canonical JSON sorts its keys) and are not parsed.
    if (!file.lines[i].starts_with("{\"change\"") && !file.lines[i].starts_with("{\"branch\"")) continue;
    read_line(path, file, i, [&](const nlohmann::json& document) {
      if (document.contains("change")) settings.changes.push_back(change_from_json(document.at("change")));
      if (!document.contains("branch")) return;
      settings.branch = branch_from_json(document.at("branch"));
      if (document.contains("parent")) settings.branch->parent = document.at("parent").get<std::string>();
    });
  }
  return settings;
}

std::optional<std::size_t> lines_up_to(const FileLines& file, const std::string& hash) {
  if (hash == kGenesis) return 0;
  const std::string needle = "\"hash\":\"" + hash + "\"";  // canonical JSON has no spaces
  for (std::size_t i = file.lines.size(); i-- > 0;)
    if (file.lines[i].find(needle) != std::string_view::npos) return i + 1;
  return std::nullopt;
}

bool holds(const std::filesystem::path& run_directory, const Cursor& cursor) {
  return cursor.records == 0 || lines_up_to(read_lines(run_directory / "ledger" / "metrics.jsonl"), cursor.head);
}

namespace {

/// The hash that the chain had before a line.
std::string hash_before(std::string_view line) {
  constexpr std::string_view kField = "\"prev\":\"";
  const std::size_t at = line.find(kField);
  return at == std::string_view::npos ? "" : std::string(line.substr(at + kField.size(), kGenesis.size()));
}

std::string first_lines(const FileLines& file, std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += std::string(file.lines[i]) + "\n";
  return text;
}

/// A run's own lines up to a record: in its metrics, or in what launches that went back have moved away, which begins behind a record of
/// the metrics or of another such file.
std::optional<std::string> own_lines(const std::filesystem::path& folder, const std::string& hash, int files_left) {
  const FileLines metrics = read_lines(folder / "metrics.jsonl");
  if (const std::optional<std::size_t> count = lines_up_to(metrics, hash)) return first_lines(metrics, *count);
  if (files_left == 0 || !std::filesystem::is_directory(folder)) return std::nullopt;
  for (const std::filesystem::directory_entry& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("discarded-") || !name.ends_with(".jsonl")) continue;
    const FileLines moved = read_lines(entry.path());
    const std::optional<std::size_t> count = lines_up_to(moved, hash);
    if (!count || moved.lines.empty()) continue;
    if (const auto before = own_lines(folder, hash_before(moved.lines.front()), files_left - 1))
      return *before + first_lines(moved, *count);
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> records_up_to(const std::filesystem::path& run_directory, const Cursor& cursor) {
  constexpr int kMostFiles = 64;  // a chain of going back longer than that is damage
  const std::filesystem::path folder = run_directory / "ledger";
  const std::optional<std::string> own = own_lines(folder, cursor.records == 0 ? kGenesis : cursor.head, kMostFiles);
  if (!own) return std::nullopt;
  const FileLines before = read_lines(folder / "parent.jsonl");
  return first_lines(before, before.lines.size()) + *own;
}

std::vector<nlohmann::json> read_events(const std::filesystem::path& path) {
  std::vector<nlohmann::json> events;
  const FileLines file = read_lines(path);
  for (std::size_t i = 0; i < file.lines.size(); ++i) events.push_back(parse_line(path, i + 1, file.lines[i]));
  return events;
}

}  // namespace longhaul::ledger
