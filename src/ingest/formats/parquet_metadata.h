// ingest/formats/parquet_metadata.h — what a Parquet file says of itself: its columns, its row groups, the headers of its pages
// (github.com/apache/parquet-format, parquet.thrift).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace longhaul::ingest {

/// Of a number that a file must have, and lacks.
constexpr int kAbsent = -1;

enum class ParquetType { boolean, int32, int64, int96, real32, real64, byte_array, fixed_byte_array };

struct ParquetColumn {
  std::string path;  ///< "a.b": the names from the outermost struct to the value
  ParquetType type = ParquetType::byte_array;
  int converted = -1;      ///< ConvertedType; -1: none
  int logical = 0;         ///< field id in the union LogicalType; 0: none
  unsigned max_level = 0;  ///< of definition: how many of the names may be absent
  bool repeated = false;   ///< in a list or a map

  bool is_text() const;
  /// Of integers.
  bool is_unsigned() const { return converted >= 11 && converted <= 14; }
  /// Whether its values are what its type says: texts, numbers, truth values; not dates, decimals …
  bool is_plain() const;
  /// "INT64 (TIMESTAMP)", "a list of BYTE_ARRAY (STRING)".
  std::string description() const;
};

struct ParquetSchema {
  std::vector<ParquetColumn> columns;  ///< the leaves, in order
  std::int64_t rows = kAbsent;
  bool encrypted = false;
};
/// Nothing when the footer is damaged.
std::optional<ParquetSchema> read_parquet_schema(std::string_view footer);

/// The pages of one column in one row group.
struct ParquetChunk {
  std::int64_t offset = kAbsent, bytes = kAbsent;  ///< of its pages, the dictionary's included
  std::int64_t values = kAbsent;                   ///< nulls included
  int codec = kAbsent;                             ///< CompressionCodec
  bool elsewhere = false;                          ///< in another file
  bool encrypted = false;
};
struct ParquetRowGroup {
  std::int64_t rows = kAbsent;
  std::vector<ParquetChunk> chunks;  ///< of the columns asked for, in their order
};
/// @param columns  indices of ParquetSchema::columns, rising
/// @return nothing when the footer is damaged, or a row group has no such column
std::optional<std::vector<ParquetRowGroup>> read_parquet_row_groups(std::string_view footer, const std::vector<std::size_t>& columns);

struct ParquetPage {
  enum class Kind { data, index, dictionary, data_v2 };
  int kind = kAbsent;
  std::int64_t bytes = kAbsent, compressed_bytes = kAbsent;  ///< of the page behind its header
  std::optional<std::uint32_t> crc;                          ///< CRC-32 of the page as it is stored
  std::int64_t values = kAbsent;
  int encoding = kAbsent;                              ///< of the values
  int level_encoding = kRle;                           ///< of definition levels
  std::int64_t level_bytes = 0, repetition_bytes = 0;  ///< of a v2 page: before the values, not compressed
  bool compressed = true;                              ///< of a v2 page
  std::size_t header_bytes = 0;

  static constexpr int kPlain = 0, kPlainDictionary = 2, kRle = 3, kDeltaBinaryPacked = 5, kDeltaLengthByteArray = 6, kDeltaByteArray = 7,
                       kRleDictionary = 8;
};
/// @param ran_out  whether `bytes` are too few for the header
/// @return nothing when it is damaged, or ran out
std::optional<ParquetPage> read_parquet_page(std::string_view bytes, bool& ran_out);

/// "BROTLI"; a number for what is not known.
std::string parquet_codec_name(int codec);
std::string parquet_encoding_name(int encoding);

}  // namespace longhaul::ingest
