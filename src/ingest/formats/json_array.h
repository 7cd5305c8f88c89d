// ingest/formats/json_array.h — a file that is one JSON array: each element is a row. Read in pieces: no more than one element is held.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "ingest/formats/piece_buffer.h"
#include "ingest/json_row.h"
#include "ingest/row.h"

namespace longhaul::ingest {

/// Whether the first character that is no white space is '['.
bool is_json_array(std::string_view head);

class JsonArrayRows final : public RowReader {
 public:
  /// @param more  appends the next piece of the file's text, or returns false at its end
  JsonArrayRows(std::function<bool(std::string&)> more, const RowOptions& options) : in_(std::move(more)), parser_(options) {}

  /// The next element. Where the array itself is damaged, a row with that fault is the last.
  bool next(Row& row) override;
  void read(Row& row) override;

 private:
  bool skip_space();
  bool scan_element(Row& row);
  bool last_fault(Row& row, std::string reason, std::string what);
  void place(Row& row) const;

  PieceBuffer in_;
  JsonRowParser parser_;
  std::int64_t line_ = 1;
  bool opened_ = false, first_ = true, finished_ = false;
};

}  // namespace longhaul::ingest
