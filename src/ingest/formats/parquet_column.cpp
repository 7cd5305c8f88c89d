#include "ingest/formats/parquet_column.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "units/error.h"

namespace longhaul::ingest {

namespace {

constexpr std::int64_t kHeaderWindow = std::int64_t{1} << 10;
constexpr std::int64_t kMaxHeader = std::int64_t{64} << 20;  // statistics may hold two values of the page

}  // namespace

void ParquetColumnReader::fail(const std::string& what) const {
  throw DataError(fmt::format("{}: column \"{}\", page at byte {}: {}", file_.path().string(), column_.path, page_at_, what));
}

void ParquetColumnReader::begin(const ParquetChunk& chunk) {
  const auto refuse = [&](const std::string& what) {
    throw DataError(fmt::format("{}: column \"{}\" {}", file_.path().string(), column_.path, what));
  };
  if (chunk.encrypted) refuse("is encrypted, which is not read");
  if (chunk.elsewhere) refuse("is in another file, which is not read");
  if (!PageDecompressor::reads(chunk.codec))
    refuse(
        fmt::format("is compressed with {}, which is not read; allowed are SNAPPY, GZIP, ZSTD and none", parquet_codec_name(chunk.codec)));
  if (chunk.offset < 4 || chunk.bytes < 0 || chunk.offset > file_.size() || chunk.bytes > file_.size() - chunk.offset)
    refuse("lies outside of the file: it was cut off, or its footer is damaged");
  chunk_ = chunk;
  at_ = page_at_ = chunk.offset;
  left_ = 0;
  dictionary_.clear();
}

/// The header's length is known when it has been read: more is taken until it suffices.
ParquetPage ParquetColumnReader::read_header() {
  const std::int64_t end = chunk_.offset + chunk_.bytes;
  for (std::int64_t window = kHeaderWindow;; window *= 8) {
    const std::int64_t size = std::min(window, end - page_at_);
    stored_.resize(static_cast<std::size_t>(size));
    file_.read_at(page_at_, stored_.data(), stored_.size());
    bool ran_out = false;
    auto page = read_parquet_page(stored_, ran_out);
    if (page) return *page;
    if (!ran_out || size == end - page_at_ || window > kMaxHeader) fail("its header is damaged");
  }
}

/// Reads the page behind its header, checks and decompresses it.
void ParquetColumnReader::read_body(const ParquetPage& page, std::string& into) {
  stored_.resize(static_cast<std::size_t>(page.compressed_bytes));
  file_.read_at(page_at_ + static_cast<std::int64_t>(page.header_bytes), stored_.data(), stored_.size());
  if (page.crc && ::crc32(0, reinterpret_cast<const Bytef*>(stored_.data()), static_cast<uInt>(stored_.size())) != *page.crc)
    fail("its checksum (CRC-32) is not that of its bytes: it is damaged");
  // The levels of a v2 page stand before its values and are not compressed.
  const bool v2 = page.kind == static_cast<int>(ParquetPage::Kind::data_v2);
  const auto levels = static_cast<std::size_t>(v2 ? page.level_bytes + page.repetition_bytes : 0);
  const int codec = v2 && !page.compressed ? 0 : chunk_.codec;
  into.resize(static_cast<std::size_t>(page.bytes));
  std::copy_n(stored_.begin(), levels, into.begin());
  const std::string_view values = std::string_view(stored_).substr(levels);
  if (into.size() == levels && values.empty()) return;  // all of its values are null
  if (!decompressor_.run(codec, values, into.data() + levels, into.size() - levels))
    fail(fmt::format("it does not decompress to {} bytes as {}: it is damaged", page.bytes, parquet_codec_name(codec)));
}

void ParquetColumnReader::next_page() {
  page_at_ = at_;
  if (page_at_ >= chunk_.offset + chunk_.bytes) fail("the row group has fewer values than rows: the file is damaged");
  const ParquetPage page = read_header();
  const std::int64_t body = page_at_ + static_cast<std::int64_t>(page.header_bytes);
  const std::int64_t levels = page.level_bytes + page.repetition_bytes;
  if (page.bytes < 0 || page.compressed_bytes < 0 || page.values < 0 || page.compressed_bytes > chunk_.offset + chunk_.bytes - body ||
      page.level_bytes < 0 || page.repetition_bytes < 0 || levels > page.bytes || levels > page.compressed_bytes)
    fail("its header is damaged");
  if (page.bytes > kMaxPageBytes || page.bytes > kFreeBytes + kMaxGrowth * page.compressed_bytes)
    fail(fmt::format("it says that {} bytes decompress to {}; allowed are {} MiB and {} times as many", page.compressed_bytes, page.bytes,
                     kMaxPageBytes >> 20, kMaxGrowth));
  at_ = body + page.compressed_bytes;
  using Kind = ParquetPage::Kind;
  switch (page.kind) {
    case static_cast<int>(Kind::index):
      return;
    case static_cast<int>(Kind::dictionary):
      if (page.encoding != ParquetPage::kPlain && page.encoding != ParquetPage::kPlainDictionary)
        fail(fmt::format("its dictionary has the encoding {}, which is not read", parquet_encoding_name(page.encoding)));
      read_body(page, dictionary_page_);
      if (!read_dictionary(column_.type, dictionary_page_, page.values, dictionary_)) fail("its dictionary is damaged");
      return;
    case static_cast<int>(Kind::data):
    case static_cast<int>(Kind::data_v2):
      read_body(page, page_);
      return begin_data(page);
    default:
      fail(fmt::format("it is of kind {}, which is not read", page.kind));
  }
}

/// Finds the definition levels and the values of a data page.
void ParquetColumnReader::begin_data(const ParquetPage& page) {
  std::string_view values = page_;
  std::string_view levels;
  const auto width = static_cast<unsigned>(std::bit_width(column_.max_level));
  if (page.kind == static_cast<int>(ParquetPage::Kind::data_v2)) {
    levels = values.substr(static_cast<std::size_t>(page.repetition_bytes), static_cast<std::size_t>(page.level_bytes));
    values.remove_prefix(static_cast<std::size_t>(page.repetition_bytes + page.level_bytes));
  } else if (column_.max_level > 0) {
    if (page.level_encoding != ParquetPage::kRle)
      fail(fmt::format("its levels have the encoding {}, which is not read; allowed is RLE", parquet_encoding_name(page.level_encoding)));
    std::uint32_t size = 0;
    if (values.size() >= 4) std::memcpy(&size, values.data(), 4);
    if (values.size() < 4 || size > values.size() - 4) fail("its levels are damaged");
    levels = values.substr(4, size);
    values.remove_prefix(4 + std::size_t{size});
  }
  levels_ = HybridReader(levels, width);
  values_ = value_reader(page.encoding, column_.type, values, dictionary_);
  if (!values_)
    fail(
        fmt::format("its values ({}) have the encoding {}, which is not read; allowed are PLAIN, dictionaries, DELTA_LENGTH_BYTE_ARRAY and "
                    "DELTA_BYTE_ARRAY",
                    column_.description(), parquet_encoding_name(page.encoding)));
  left_ = page.values;
}

void ParquetColumnReader::finish() const {
  if (left_ > 0) fail("the row group has more values than rows: the file is damaged");
}

bool ParquetColumnReader::next(std::string_view& value) {
  while (left_ == 0) next_page();
  --left_;
  if (column_.max_level > 0) {
    std::uint32_t level = 0;
    if (!levels_.next(level) || level > column_.max_level) fail("its levels are damaged");
    if (level < column_.max_level) return false;
  }
  if (!values_->next(value)) fail("its values are damaged");
  return true;
}

}  // namespace longhaul::ingest
