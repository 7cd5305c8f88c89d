#include "ingest/line_rows.h"

#include <fmt/format.h>

#include <algorithm>

namespace longhaul::ingest {

namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

}  // namespace

void LineRows::fill() {
  discarded_ += static_cast<std::int64_t>(begin_);
  buffer_.resize(buffer_.size() - std::min(buffer_.size(), JsonRowParser::kPadding));
  buffer_.erase(0, begin_);
  searched_ -= begin_;
  begin_ = 0;
  ended_ = !more_(buffer_);
  buffer_.append(JsonRowParser::kPadding, '\0');  // the parser reads behind the line
}

bool LineRows::find_line(std::string_view& line) {
  for (too_long_ = false;;) {
    const std::string_view text = std::string_view(buffer_).substr(0, buffer_.size() - std::min(buffer_.size(), JsonRowParser::kPadding));
    const std::size_t newline = text.find('\n', searched_);
    if (newline != std::string_view::npos || (ended_ && begin_ < text.size())) {
      const std::size_t end = std::min(newline, text.size());
      line = text.substr(begin_, end - begin_);
      too_long_ = too_long_ || static_cast<std::int64_t>(line.size()) > kMaxRowBytes;
      return true;
    }
    if (ended_) {
      line = text.substr(begin_);
      return too_long_;
    }
    searched_ = text.size();
    if (static_cast<std::int64_t>(text.size() - begin_) > kMaxRowBytes) {
      too_long_ = true;  // what there is of it is not kept
      begin_ = text.size();
    }
    fill();
  }
}

bool LineRows::next(Row& row) {
  std::string_view line;
  for (;;) {
    const std::int64_t begin = discarded_ + static_cast<std::int64_t>(begin_);
    if (!find_line(line)) return false;
    ++number_;
    const auto end = static_cast<std::size_t>(line.data() - buffer_.data()) + line.size();
    begin_ = searched_ = std::min(end + 1, buffer_.size() - JsonRowParser::kPadding);
    if (!too_long_ && line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const std::size_t mark = line.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0;  // files that begin with one, put together
    row = {};
    row.raw = line.substr(mark);
    row.line = number_;
    row.byte = begin + static_cast<std::int64_t>(mark);
    return true;
  }
}

void LineRows::read(Row& row) {
  if (too_long_)
    row.fault = RowFault{"too long", fmt::format("the line is longer than {} MiB, the most a row may have; split it", kMaxRowBytes >> 20)};
  else
    parser_.read(row, row.raw.data() >= buffer_.data() && row.raw.data() < buffer_.data() + buffer_.size());
}

}  // namespace longhaul::ingest
