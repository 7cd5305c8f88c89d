#include "ingest/formats/json_array.h"

#include <fmt/format.h>

#include <algorithm>

#include "ingest/json_fault.h"

namespace longhaul::ingest {

namespace {

/// Of what cannot be divided, enough to be found again.
constexpr std::size_t kShownBytes = 1000;

bool is_json_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

}  // namespace

bool is_json_array(std::string_view head) {
  const auto first = std::find_if_not(head.begin(), head.end(), is_json_space);
  return first != head.end() && *first == '[';
}

/// Whether there is anything behind the white space.
bool JsonArrayRows::skip_space() {
  for (; in_.available() && is_json_space(in_.next()); ++in_.at) line_ += in_.next() == '\n';
  in_.begin = in_.at;
  return in_.at < in_.text.size();
}

void JsonArrayRows::place(Row& row) const {
  row = {};
  row.line = line_;
  row.byte = in_.offset();
}

/// What follows cannot be divided into elements: it is one row.
bool JsonArrayRows::last_fault(Row& row, std::string reason, std::string what) {
  place(row);
  finished_ = true;
  in_.keep(kShownBytes);
  row.raw = in_.kept(std::min(in_.text.size(), in_.begin + kShownBytes));
  row.fault = RowFault{std::move(reason), std::move(what)};
  return true;
}

bool JsonArrayRows::next(Row& row) {
  if (finished_) return false;
  bool there = skip_space();
  if (!opened_) {
    opened_ = true;
    in_.begin = ++in_.at;
    there = skip_space();
  }
  if (there && in_.next() == ']') {
    in_.begin = ++in_.at;
    if (skip_space()) return last_fault(row, "text behind the document", "text behind the end of the array; what follows is not read");
    finished_ = true;
    return false;
  }
  if (there && !first_) {
    if (in_.next() != ',') return last_fault(row, "damaged array", "',' or ']' is missing behind an element; what follows is not read");
    in_.begin = ++in_.at;
    there = skip_space();
  }
  first_ = false;
  if (!there) return last_fault(row, std::string(kTruncatedRow), "the file ends before the array is closed: it was cut off");
  return scan_element(row);
}

/// From the first byte of an element to its last: the one that closes it, or the one before ',' or ']'.
bool JsonArrayRows::scan_element(Row& row) {
  place(row);
  int depth = 0;
  bool string = false, too_long = false, whole = false;
  for (; !whole && in_.available(); ++in_.at) {
    const char c = in_.next();
    if (c == '\n') ++line_;
    if (string) {
      if (c == '\\') {
        ++in_.at;
        if (!in_.available()) break;
      } else if (c == '"') {
        string = false;
        whole = depth == 0;
      }
      continue;
    }
    if (depth == 0 && (c == ',' || c == ']')) break;
    if (c == '"') string = true;
    depth += c == '{' || c == '[';
    if (c == '}' || c == ']') whole = --depth <= 0;
    if (static_cast<std::int64_t>(in_.at - in_.begin) > kMaxRowBytes) {
      too_long = true;  // what there is of it is not kept
      in_.begin = in_.at;
    }
  }
  if (!whole && in_.at >= in_.text.size()) {
    const Row rest = row;
    last_fault(row, std::string(kTruncatedRow), "the file ends inside an element of the array: it was cut off");
    row.line = rest.line;
    row.byte = rest.byte;
    return true;
  }
  std::size_t end = in_.at;
  while (end > in_.begin && is_json_space(in_.text[end - 1])) --end;
  row.raw = in_.kept(end);
  if (too_long)
    row.fault =
        RowFault{"too long", fmt::format("the element is longer than {} MiB, the most a row may have; split it", kMaxRowBytes >> 20)};
  in_.begin = in_.at;
  return true;
}

void JsonArrayRows::read(Row& row) { parser_.read(row, false); }

}  // namespace longhaul::ingest
