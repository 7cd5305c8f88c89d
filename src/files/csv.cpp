#include "files/csv.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "units/error.h"

namespace longhaul::files {
namespace {

constexpr std::size_t kMaxBytes = 256u << 20, kMaxColumns = 1000;

/// Cells of one record from `at` on, which is left behind its line end; `line` counts line ends passed.
std::vector<std::string> record(std::string_view text, std::size_t& at, std::size_t& line, const std::string& label) {
  std::vector<std::string> cells(1);
  const std::size_t first_line = line;
  bool quoted = false, was_quoted = false;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '\n') ++line;
    if (quoted) {
      if (c == '"' && at + 1 < text.size() && text[at + 1] == '"')
        cells.back() += '"', ++at;
      else if (c == '"')
        quoted = false;
      else
        cells.back() += c;
    } else if (c == '"' && cells.back().empty() && !was_quoted) {
      quoted = was_quoted = true;
    } else if (c == ',') {
      if (cells.size() == kMaxColumns) throw UsageError(fmt::format("{}:{}: more than {} columns", label, first_line, kMaxColumns));
      cells.emplace_back(), was_quoted = false;
    } else if (c == '\n') {
      ++at;
      break;
    } else if (c != '\r' || at + 1 >= text.size() || text[at + 1] != '\n') {
      cells.back() += c;
    }
  }
  if (quoted) throw UsageError(fmt::format("{}:{}: a quoted cell has no end", label, first_line));
  return cells;
}

void check_header(const std::vector<std::string>& columns, const std::string& label) {
  if (columns.size() == 1 && columns.front().empty()) throw UsageError(label + ":1: the first line is empty; it must name the columns");
  for (auto column = columns.begin(); column != columns.end(); ++column) {
    if (std::any_of(column->begin(), column->end(), [](unsigned char c) { return c < ' ' || c == 0x7F || c >= 0xFE; }))
      throw UsageError(label + ":1: the header holds bytes that are no text; write comma-separated values in UTF-8");
    if (std::find(columns.begin(), column, *column) != column)
      throw UsageError(fmt::format("{}:1: column '{}' twice; leave one of them out", label, *column));
  }
}

}  // namespace

Csv Csv::parse(std::string_view text, std::string label) {
  Csv csv;
  csv.label_ = std::move(label);
  if (text.size() > kMaxBytes) throw UsageError(csv.label_ + ":1: larger than 256 MiB");
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);  // a byte order mark, as spreadsheets write it
  std::size_t at = 0, line = 1;
  csv.columns_ = record(text, at, line, csv.label_);
  check_header(csv.columns_, csv.label_);
  while (at < text.size()) {
    const std::size_t begins = line;
    std::vector<std::string> cells = record(text, at, line, csv.label_);
    if (cells.size() == 1 && cells[0].empty()) continue;
    if (cells.size() != csv.columns_.size())
      throw UsageError(fmt::format("{}:{}: {} cells, the header has {} columns", csv.label_, begins, cells.size(), csv.columns_.size()));
    csv.cells_.push_back(std::move(cells));
    csv.lines_.push_back(begins);
  }
  return csv;
}

void Csv::require(const std::vector<std::string>& columns) const {
  std::vector<std::string> missing;
  std::copy_if(columns.begin(), columns.end(), std::back_inserter(missing), [&](const std::string& column) { return !has(column); });
  if (!missing.empty())
    throw UsageError(fmt::format("{}:1: no column {}; the header has {}", label_, fmt::join(missing, ", "), fmt::join(columns_, ", ")));
}

std::optional<std::size_t> Csv::find(std::string_view column) const {
  const auto found = std::find(columns_.begin(), columns_.end(), column);
  if (found == columns_.end()) return std::nullopt;
  return static_cast<std::size_t>(found - columns_.begin());
}

std::string_view Csv::text(std::size_t row, std::string_view column) const {
  const auto at = find(column);
  return at ? std::string_view(cells_[row][*at]) : std::string_view();
}

std::optional<double> Csv::number(std::size_t row, std::string_view column) const {
  const std::string_view cell = text(row, column);
  if (cell.empty()) return std::nullopt;
  double value = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (error != std::errc() || end != cell.data() + cell.size() || !std::isfinite(value)) fail(row, column, "is not a finite number");
  return value;
}

std::optional<std::int64_t> Csv::count(std::size_t row, std::string_view column, std::int64_t least) const {
  const auto value = number(row, column);
  if (!value) return std::nullopt;
  constexpr double kLargest = 1e15;  // every whole number below is exact in a double
  if (*value != std::floor(*value) || *value < static_cast<double>(least) || *value > kLargest)
    fail(row, column, fmt::format("is not a whole number of at least {}", least));
  return static_cast<std::int64_t>(*value);
}

void Csv::fail(std::size_t row, std::string_view column, const std::string& what) const {
  throw CellError(fmt::format("{}:{}: {} '{}' {}", label_, lines_[row], column, text(row, column).substr(0, 60), what),
                  fmt::format("{} {}", column, what));
}

}  // namespace longhaul::files
