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
      if (document.contains("branch")) settings.branch = branch_from_json(document.at("branch"));
    });
  }
  return settings;
}

std::string first_records(const std::filesystem::path& run_directory, std::int64_t records) {
  std::string text;
  const std::filesystem::path folder = run_directory / "ledger";
  const FileLines before = read_lines(folder / "parent.jsonl");
  for (const std::string_view line : before.lines) text += std::string(line) + "\n";
  const FileLines own = read_lines(folder / "metrics.jsonl");
  for (std::size_t i = 0; i < std::min(own.lines.size(), static_cast<std::size_t>(records)); ++i) text += std::string(own.lines[i]) + "\n";
  return text;
}

std::vector<nlohmann::json> read_events(const std::filesystem::path& path) {
  std::vector<nlohmann::json> events;
  const FileLines file = read_lines(path);
  for (std::size_t i = 0; i < file.lines.size(); ++i) events.push_back(parse_line(path, i + 1, file.lines[i]));
  return events;
}

}  // namespace longhaul::ledger
