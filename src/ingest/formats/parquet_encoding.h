// ingest/formats/parquet_encoding.h — the values of one Parquet page, one after another (github.com/apache/parquet-format, Encodings.md).
//
// A value is its bytes: of a byte array its content, of a number its 4 or 8 bytes in little-endian order, of a truth value one byte.
// Nothing is decoded ahead, so a page needs no more memory than its own bytes, whatever it claims to hold.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/formats/parquet_metadata.h"

namespace longhaul::ingest {

/// Integers of `width` bits: runs of equal ones and groups of eight packed ones, mixed ("RLE / bit-packing hybrid").
class HybridReader {
 public:
  HybridReader() = default;
  HybridReader(std::string_view bytes, unsigned width) : bytes_(bytes), width_(width) {}
  /// False where the bytes end, or are damaged.
  bool next(std::uint32_t& value);

 private:
  bool begin_run();

  std::string_view bytes_;
  unsigned width_ = 0;
  std::uint64_t repeats_ = 0, packed_ = 0;  // left of the run
  std::uint32_t repeated_ = 0;
  std::uint64_t bit_ = 0;  // of the packed values, from the start of bytes_
};

/// DELTA_BINARY_PACKED: differences of neighbours, less the smallest of a block, packed in as many bits as they need.
class DeltaReader {
 public:
  DeltaReader() = default;
  explicit DeltaReader(std::string_view bytes);
  bool next(std::int64_t& value);
  /// How many bytes it has, read to its end. Nothing good if it is damaged: then the values run out.
  static std::size_t length(std::string_view bytes);

 private:
  bool begin_block();
  bool begin_miniblock();

  std::string_view bytes_;
  std::size_t at_ = 0;
  std::uint64_t left_ = 0;  // values
  std::uint64_t miniblocks_ = 0, values_per_miniblock_ = 0;
  std::uint64_t miniblock_ = 0, in_miniblock_ = 0;  // that follow in the block; values left in the miniblock
  std::string_view widths_;
  std::uint64_t bit_ = 0;  // of the next value
  unsigned width_ = 0;
  std::uint64_t minimum_ = 0, value_ = 0;
  bool first_ = true;
};

class ValueReader {
 public:
  virtual ~ValueReader() = default;
  /// The next value, valid until the one after. False where the page ends, or is damaged.
  virtual bool next(std::string_view& value) = 0;
};

/// Of the values of a page, which stand behind its levels.
/// @param dictionary  of the column's chunk; must outlive the reader
/// @return nothing when this encoding is not read for values of this type
std::unique_ptr<ValueReader> value_reader(int encoding, ParquetType type, std::string_view bytes,
                                          const std::vector<std::string_view>& dictionary);

/// The values of a dictionary page. False when it is damaged.
bool read_dictionary(ParquetType type, std::string_view bytes, std::int64_t count, std::vector<std::string_view>& dictionary);

}  // namespace longhaul::ingest
