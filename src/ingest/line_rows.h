// ingest/line_rows.h — the rows of a .jsonl file: a JSON object a line. Blank lines are no rows.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "ingest/json_row.h"
#include "ingest/row.h"

namespace longhaul::ingest {

class LineRows final : public RowReader {
 public:
  /// @param more  appends the next piece of the file's text, or returns false at its end
  LineRows(std::function<bool(std::string&)> more, const RowOptions& options) : more_(std::move(more)), parser_(options) {}

  /// The next line that is not blank, as it stands: sets raw and the place. False at the end.
  bool next(Row& row) override;
  /// Its text, or what is wrong with it. The line must be valid UTF-8.
  void read(Row& row) override;

 private:
  bool find_line(std::string_view& line);
  void fill();

  std::function<bool(std::string&)> more_;
  JsonRowParser parser_;
  std::string buffer_;
  std::size_t begin_ = 0, searched_ = 0;  // of the line, and of the search for its end
  std::int64_t discarded_ = 0, number_ = 0;
  bool ended_ = false, too_long_ = false;
};

}  // namespace longhaul::ingest
