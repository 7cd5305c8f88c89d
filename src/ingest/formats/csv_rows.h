// ingest/formats/csv_rows.h — tables as text, RFC 4180: .csv (commas) and .tsv (tabs). The first record names the columns; every other one
// is a row, whose text is a column. A field in double quotes may hold separators, line ends and doubled quotes.
//
// Read in pieces: no more than one record is held. Blank lines are no rows. A record with another number of fields than the header is a
// bad row: nobody knows which of its fields is the text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/formats/piece_buffer.h"
#include "ingest/row.h"

namespace longhaul::ingest {

class CsvRows final : public RowReader {
 public:
  /// @param more  appends the next piece of the file's text, or returns false at its end
  /// @param file  its name, for errors
  CsvRows(std::function<bool(std::string&)> more, char separator, const RowOptions& options, std::string file)
      : in_(std::move(more)), separator_(separator), options_(options), file_(std::move(file)) {}

  /// @throws DataError for a header that lacks the column of the text, or has it twice
  bool next(Row& row) override;
  void read(Row& row) override;

 private:
  bool next_record(Row& row);
  void read_header();
  void take_fields(Row& row);

  PieceBuffer in_;
  char separator_;
  RowOptions options_;
  std::string file_;
  std::vector<std::string> columns_;
  std::size_t text_column_ = 0;
  std::int64_t line_ = 1;
  std::vector<std::string> fields_;  // of the row that was read last
};

/// Cuts one record into its fields. @return what is wrong with its quotes; empty when nothing is
std::string split_record(std::string_view record, char separator, std::vector<std::string>& fields);

}  // namespace longhaul::ingest
