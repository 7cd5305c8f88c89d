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

std::vector<Record> read_metrics(const std::filesystem::path& path) {
  std::vector<Record> records;
  const FileLines file = read_lines(path);
  for (std::size_t i = 0; i < file.lines.size(); ++i) {
    try {
      records.push_back(record_from_json(parse_line(path, i + 1, file.lines[i])));
    } catch (const DataError&) {
      throw;
    } catch (const Error& error) {
      throw DataError(place(path, i + 1) + ": " + error.what());
    }
  }
  return records;
}

std::optional<Record> read_last_metric(const std::filesystem::path& path) {
  const FileLines file = read_lines(path);
  if (file.lines.empty()) return std::nullopt;
  return record_from_json(parse_line(path, file.lines.size(), file.lines.back()));
}

std::vector<nlohmann::json> read_events(const std::filesystem::path& path) {
  std::vector<nlohmann::json> events;
  const FileLines file = read_lines(path);
  for (std::size_t i = 0; i < file.lines.size(); ++i) events.push_back(parse_line(path, i + 1, file.lines[i]));
  return events;
}

}  // namespace longhaul::ledger
