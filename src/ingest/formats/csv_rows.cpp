#include "ingest/formats/csv_rows.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "ingest/json_fault.h"
#include "ingest/json_values.h"
#include "units/error.h"

namespace longhaul::ingest {

std::string split_record(std::string_view record, char separator, std::vector<std::string>& fields) {
  fields.clear();
  for (std::size_t at = 0;; ++at) {
    std::string& field = fields.emplace_back();
    if (at < record.size() && record[at] == '"') {
      for (++at;; ++at) {
        const std::size_t quote = record.find('"', at);
        if (quote == std::string_view::npos) return "a field in double quotes is not closed";
        field += record.substr(at, quote - at);
        at = quote + 1;
        if (at >= record.size() || record[at] != '"') break;
        field += '"';
      }
      if (at < record.size() && record[at] != separator)
        return "text behind the closing quote of a field (a quote inside is written twice)";
    } else {
      const std::size_t end = std::min(record.find(separator, at), record.size());
      field = record.substr(at, end - at);
      at = end;
    }
    if (at >= record.size()) return {};
  }
}

/// The next record that is not blank, as it stands, without its line end.
bool CsvRows::next_record(Row& row) {
  while (in_.available() && (in_.next() == '\n' || in_.next() == '\r')) {
    line_ += in_.next() == '\n';
    ++in_.at;
  }
  in_.begin = in_.at;
  if (!in_.available()) return false;
  row = {};
  row.line = line_;
  row.byte = in_.offset();
  bool quoted = false, closed = false, field_begins = true, too_long = false;
  for (; in_.available(); ++in_.at) {
    const char c = in_.next();
    if (!quoted && c == '\n') break;
    line_ += c == '\n';
    if (quoted) {
      closed = c == '"';  // or the first of two
      quoted = !closed;
    } else {
      quoted = c == '"' && (field_begins || closed);
      closed = false;
      field_begins = c == separator_;
    }
    if (static_cast<std::int64_t>(in_.at - in_.begin) > kMaxRowBytes) {
      too_long = true;  // what there is of it is not kept
      in_.begin = in_.at;
    }
  }
  std::size_t end = in_.at;
  if (in_.at < in_.text.size()) {  // the line end
    ++in_.at;
    ++line_;
  }
  if (end > in_.begin && in_.text[end - 1] == '\r') --end;
  row.raw = in_.kept(end);
  if (too_long)
    row.fault = RowFault{"too long",
                         fmt::format("the record is longer than {} MiB, the most a row may have: is a quote missing?", kMaxRowBytes >> 20)};
  else if (quoted)
    row.fault =
        RowFault{std::string(kTruncatedRow), "the file ends inside a field in double quotes: it was cut off, or a quote is missing"};
  in_.begin = in_.at;
  return true;
}

void CsvRows::read_header() {
  Row header;
  if (!next_record(header)) return;
  const std::string wrong = header.fault ? header.fault->what : split_record(header.raw, separator_, columns_);
  if (!wrong.empty()) throw DataError(fmt::format("{}:{}: the header: {}", file_, header.line, wrong));
  const auto count = std::count(columns_.begin(), columns_.end(), options_.text_field);
  if (count != 1)
    throw DataError(
        fmt::format("{}:{}: {} \"{}\"; the header has \"{}\"; name the right one with --text-field", file_, header.line,
                    count == 0 ? "no column" : "more than one column", options_.text_field,
                    fmt::join(columns_.begin(), columns_.begin() + std::min<std::ptrdiff_t>(8, std::ssize(columns_)), "\", \"")));
  text_column_ = static_cast<std::size_t>(std::find(columns_.begin(), columns_.end(), options_.text_field) - columns_.begin());
}

bool CsvRows::next(Row& row) {
  if (columns_.empty()) read_header();
  return next_record(row);
}

void CsvRows::read(Row& row) {
  const std::string wrong = split_record(row.raw, separator_, fields_);
  if (!wrong.empty())
    row.fault = RowFault{"wrong quotes", wrong};
  else if (fields_.size() != columns_.size())
    row.fault = RowFault{"wrong number of fields", fmt::format("{} fields, the header has {}", fields_.size(), columns_.size())};
  else
    take_fields(row);
}

void CsvRows::take_fields(Row& row) {
  row.text = fields_[text_column_];
  if (options_.metadata.empty()) return;
  std::vector<std::string> values;
  for (const std::string& name : options_.metadata) {
    const auto column = std::find(columns_.begin(), columns_.end(), name) - columns_.begin();
    values.push_back(column < std::ssize(columns_) ? json_string(fields_[static_cast<std::size_t>(column)]) : "null");
  }
  row.metadata = json_object(options_.metadata, values);
}

}  // namespace longhaul::ingest
