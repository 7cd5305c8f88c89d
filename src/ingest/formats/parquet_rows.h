// ingest/formats/parquet_rows.h — Parquet files: each row's text is a column. Read are texts (BYTE_ARRAY) that are optional or required,
// also in structs ("a.b"), plain, from a dictionary, or in one of the two delta encodings; pages of both versions, with snappy, gzip, zstd
// or no compression. Everything else is refused by its name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/formats/disk_file.h"
#include "ingest/formats/parquet_column.h"
#include "ingest/formats/parquet_metadata.h"
#include "ingest/row.h"

namespace longhaul::ingest {

class ParquetRows final : public RowReader {
 public:
  /// Reads the footer.
  /// @throws DataError naming the file when it is none of Parquet, is damaged, or has no such column of texts
  ParquetRows(std::unique_ptr<DiskFile> file, RowOptions options);

  /// The next row; Row::line counts rows, Row::raw is the text. @throws DataError for a damaged page, as the constructor does
  bool next(Row& row) override;
  void read(Row& row) override;
  std::optional<std::int64_t> disk_bytes() const override;

 private:
  struct Column {
    std::size_t index;  // in the schema
    std::unique_ptr<ParquetColumnReader> reader;
  };
  std::string read_footer();
  std::optional<std::size_t> find(const std::string& path) const;
  void choose_columns();
  std::string columns_text() const;
  bool begin_group();
  void end_group();
  std::string value_text(std::size_t column, std::string_view value) const;
  [[noreturn]] void fail(const std::string& what) const;

  std::unique_ptr<DiskFile> file_;
  RowOptions options_;
  ParquetSchema schema_;
  std::vector<Column> columns_;                       // read, by index: the text's and those of the metadata
  std::size_t text_ = 0;                              // which of columns_
  std::vector<std::optional<std::size_t>> metadata_;  // likewise; nothing: there is none
  std::vector<ParquetRowGroup> groups_;
  std::size_t group_ = 0;  // the one after that which is read
  std::int64_t left_ = 0;  // rows of it
  std::int64_t number_ = 0, text_bytes_ = 0;
  std::vector<std::optional<std::string_view>> values_;  // of the row, by columns_
};

}  // namespace longhaul::ingest
