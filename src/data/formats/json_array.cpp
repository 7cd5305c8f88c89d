#include "data/formats/json_array.h"

#include <fmt/format.h>

#include <algorithm>

#include "data/ingest/json_fault.h"

namespace longhaul::data {

namespace {

bool is_json_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

}  // namespace

bool is_json_array(std::string_view head) {
  const auto first = std::find_if_not(head.begin(), head.end(), is_json_space);
  return first != head.end() && *first == '[';
}

/// Whether there is a byte at at_; reads more if need be.
bool JsonArrayRows::available() {
  while (at_ == buffer_.size() && !ended_) {
    discarded_ += static_cast<std::int64_t>(begin_);
    buffer_.erase(0, begin_);
    at_ -= begin_;
    begin_ = 0;
    ended_ = !more_(buffer_);
  }
  return at_ < buffer_.size();
}

/// Whether there is anything behind the white space.
bool JsonArrayRows::skip_space() {
  for (; available() && is_json_space(buffer_[at_]); ++at_) line_ += buffer_[at_] == '\n';
  begin_ = at_;
  return at_ < buffer_.size();
}

void JsonArrayRows::place(Row& row) const {
  row = {};
  row.line = line_;
  row.byte = discarded_ + static_cast<std::int64_t>(begin_);
}

/// What follows cannot be divided into elements: it is one row.
bool JsonArrayRows::last_fault(Row& row, std::string reason, std::string what) {
  place(row);
  finished_ = true;
  row.raw = std::string_view(buffer_).substr(begin_);
  row.fault = RowFault{std::move(reason), std::move(what)};
  return true;
}

bool JsonArrayRows::next(Row& row) {
  if (finished_) return false;
  bool there = skip_space();
  if (!opened_) {
    opened_ = true;
    begin_ = ++at_;
    there = skip_space();
  }
  if (there && buffer_[at_] == ']') {
    begin_ = ++at_;
    if (skip_space()) return last_fault(row, "text behind the document", "text behind the end of the array; what follows is not read");
    finished_ = true;
    return false;
  }
  if (there && !first_) {
    if (buffer_[at_] != ',') return last_fault(row, "damaged array", "',' or ']' is missing behind an element; what follows is not read");
    begin_ = ++at_;
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
  for (; !whole && available(); ++at_) {
    const char c = buffer_[at_];
    if (c == '\n') ++line_;
    if (string) {
      if (c == '\\') {
        ++at_;
        if (!available()) break;
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
    if (static_cast<std::int64_t>(at_ - begin_) > kMaxRowBytes) {
      too_long = true;  // what there is of it is not kept
      begin_ = at_;
    }
  }
  if (!whole && at_ >= buffer_.size()) {
    const Row rest = row;
    last_fault(row, std::string(kTruncatedRow), "the file ends inside an element of the array: it was cut off");
    row.line = rest.line;
    row.byte = rest.byte;
    return true;
  }
  std::size_t end = at_;
  while (end > begin_ && is_json_space(buffer_[end - 1])) --end;
  row.raw = std::string_view(buffer_).substr(begin_, end - begin_);
  if (too_long)
    row.fault =
        RowFault{"too long", fmt::format("the element is longer than {} MiB, the most a row may have; split it", kMaxRowBytes >> 20)};
  begin_ = at_;
  return true;
}

void JsonArrayRows::read(Row& row) { parser_.read(row, false); }

}  // namespace longhaul::data
