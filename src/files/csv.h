// files/csv.h — comma-separated values with a header line (RFC 4180), read whole, cells by column name.
//
// Every error names file, line and column. Limits: 256 MiB, 1,000 columns. Quoted cells may hold commas, quotes (doubled) and line ends.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "units/error.h"

namespace longhaul::files {

/// A cell that does not hold what its column does.
class CellError : public UsageError {
 public:
  CellError(const std::string& message, std::string fault) : UsageError(message), reason(std::move(fault)) {}
  std::string reason;  ///< without line and cell, the same for all rows of one fault: "global_batch is not a whole number of at least 1"
};

class Csv {
 public:
  /// @param label begins every error, usually the path. Throws UsageError "label:line: …" for text that is no CSV with equal rows or
  /// names a column twice.
  static Csv parse(std::string_view text, std::string label);

  const std::string& label() const { return label_; }
  std::size_t rows() const { return lines_.size(); }
  const std::vector<std::string>& columns() const { return columns_; }
  bool has(std::string_view column) const { return find(column).has_value(); }
  /// Throws UsageError naming the columns that are missing and what the file has instead.
  void require(const std::vector<std::string>& columns) const;

  /// The cell as written; empty where the column does not exist.
  std::string_view text(std::size_t row, std::string_view column) const;
  /// A finite number; nothing for an empty cell. Throws UsageError for anything else.
  std::optional<double> number(std::size_t row, std::string_view column) const;
  /// A whole number from `least` up; nothing for an empty cell.
  std::optional<std::int64_t> count(std::size_t row, std::string_view column, std::int64_t least = 0) const;
  /// Throws CellError "label:line: column 'cell' what".
  [[noreturn]] void fail(std::size_t row, std::string_view column, const std::string& what) const;
  /// On which a row begins, from 1.
  std::size_t line(std::size_t row) const { return lines_[row]; }

 private:
  std::optional<std::size_t> find(std::string_view column) const;

  std::string label_;
  std::vector<std::string> columns_;
  std::vector<std::vector<std::string>> cells_;
  std::vector<std::size_t> lines_;  ///< line on which each row begins
};

}  // namespace longhaul::files
