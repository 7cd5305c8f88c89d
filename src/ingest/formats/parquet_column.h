// ingest/formats/parquet_column.h — the values of one column of a Parquet file, row group by row group and page by page: no more than one
// page and the dictionary are held. A page with a CRC is checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/formats/disk_file.h"
#include "ingest/formats/parquet_codec.h"
#include "ingest/formats/parquet_encoding.h"
#include "ingest/formats/parquet_metadata.h"

namespace longhaul::ingest {

/// The largest page: that of the largest document. Writers make pages of about 1 MiB, but hold 1,000 documents together however long.
constexpr std::int64_t kMaxPageBytes = std::int64_t{1} << 30;

class ParquetColumnReader {
 public:
  /// Both must outlive the reader.
  ParquetColumnReader(const DiskFile& file, const ParquetColumn& column) : file_(file), column_(column) {}

  /// Goes to another row group. @throws DataError naming the file for what is not read
  void begin(const ParquetChunk& chunk);
  /// The next value, valid until the one after. False: it is null.
  /// @throws DataError naming file, column and page for damage, and where there is no further value
  bool next(std::string_view& value);
  /// At the end of a row group: nothing must be left of its last page.
  void finish() const;

 private:
  void next_page();
  ParquetPage read_header();
  void read_body(const ParquetPage& page, std::string& into);
  void begin_data(const ParquetPage& page);
  [[noreturn]] void fail(const std::string& what) const;

  const DiskFile& file_;
  const ParquetColumn& column_;
  ParquetChunk chunk_;
  PageDecompressor decompressor_;
  std::int64_t page_at_ = 0, at_ = 0;  // where the page begins, and the one after
  std::int64_t left_ = 0;              // values of the page
  std::string stored_, page_, dictionary_page_;
  std::vector<std::string_view> dictionary_;  // in dictionary_page_
  HybridReader levels_;
  std::unique_ptr<ValueReader> values_;
};

}  // namespace longhaul::ingest
