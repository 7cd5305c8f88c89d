#include "ingest/formats/parquet_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "ingest/encoding.h"
#include "ingest/json_values.h"
#include "units/error.h"

namespace longhaul::ingest {

namespace {

constexpr std::int64_t kMaxFooterBytes = std::int64_t{256} << 20;
constexpr std::size_t kListedColumns = 12;
constexpr std::string_view kMagic = "PAR1";

template <class Number>
Number number_from(std::string_view bytes) {
  Number number{};
  std::memcpy(&number, bytes.data(), sizeof(number));
  return number;
}

std::string real_text(double value, std::string text) { return std::isfinite(value) ? std::move(text) : "null"; }

}  // namespace

void ParquetRows::fail(const std::string& what) const { throw DataError(fmt::format("{}: {}", file_->path().string(), what)); }

/// A file ends with its footer, the footer's length and the magic that it begins with.
std::string ParquetRows::read_footer() {
  const std::int64_t size = file_->size();
  char head[4] = {}, tail[8] = {};
  file_->read_at(0, head, static_cast<std::size_t>(std::min<std::int64_t>(size, 4)));
  const std::string_view magic(head, 4);
  if (magic == "PARE") fail("an encrypted Parquet file, which is not read");
  if (magic != kMagic) {
    const std::string_view binary = binary_content(magic);
    fail(binary.empty() ? "is no Parquet file: its first bytes are not PAR1" : fmt::format("holds {}, not a Parquet file", binary));
  }
  const std::string cut = "the Parquet file has no footer at its end: it was cut off, or its writer did not close it";
  if (size < 12) fail(cut);
  file_->read_at(size - 8, tail, 8);
  const auto length = static_cast<std::int64_t>(number_from<std::uint32_t>({tail, 4}));
  if (std::string_view(tail + 4, 4) != kMagic) fail(cut);
  if (length > size - 12) fail(fmt::format("the footer's length, {} bytes, is more than the file has: it is damaged", length));
  if (length > kMaxFooterBytes) fail(fmt::format("the footer has {} MiB; allowed are {}", length >> 20, kMaxFooterBytes >> 20));
  std::string footer(static_cast<std::size_t>(length), '\0');
  file_->read_at(size - 8 - length, footer.data(), footer.size());
  return footer;
}

std::string ParquetRows::columns_text() const {
  std::string text;
  for (std::size_t i = 0; i < std::min(schema_.columns.size(), kListedColumns); ++i)
    text += fmt::format("{}\"{}\"", i == 0 ? "" : ", ", schema_.columns[i].path);
  return text + (schema_.columns.size() > kListedColumns ? ", …" : "");
}

std::optional<std::size_t> ParquetRows::find(const std::string& path) const {
  const auto is_named = [&](const ParquetColumn& column) { return column.path == path; };
  const auto found = std::find_if(schema_.columns.begin(), schema_.columns.end(), is_named);
  if (found == schema_.columns.end()) return std::nullopt;
  if (std::find_if(found + 1, schema_.columns.end(), is_named) != schema_.columns.end())
    fail(fmt::format("there is more than one column \"{}\"", path));
  return static_cast<std::size_t>(found - schema_.columns.begin());
}

void ParquetRows::choose_columns() {
  const auto text = find(options_.text_field);
  if (!text)
    fail(fmt::format("no column \"{}\"; the file has {}; name the right one with --text-field", options_.text_field, columns_text()));
  const ParquetColumn& column = schema_.columns[*text];
  if (column.repeated || !column.is_text())
    fail(fmt::format("the column \"{}\" is {}, not texts; the file has {}; name the right one with --text-field", column.path,
                     column.description(), columns_text()));
  std::vector<std::size_t> wanted{*text};
  std::vector<std::optional<std::size_t>> metadata;
  for (const std::string& field : options_.metadata) {
    metadata.push_back(find(field));
    if (!metadata.back()) continue;
    const ParquetColumn& chosen = schema_.columns[*metadata.back()];
    if (chosen.repeated || !chosen.is_plain())
      fail(fmt::format("the column \"{}\" of --metadata is {}; read are texts, numbers and truth values", chosen.path,
                       chosen.description()));
    wanted.push_back(*metadata.back());
  }
  std::sort(wanted.begin(), wanted.end());
  wanted.erase(std::unique(wanted.begin(), wanted.end()), wanted.end());
  const auto place_of = [&](std::size_t index) {
    return static_cast<std::size_t>(std::lower_bound(wanted.begin(), wanted.end(), index) - wanted.begin());
  };
  for (const std::size_t index : wanted) columns_.push_back({index, std::make_unique<ParquetColumnReader>(*file_, schema_.columns[index])});
  text_ = place_of(*text);
  for (const auto& index : metadata) metadata_.push_back(index ? std::optional(place_of(*index)) : std::nullopt);
  values_.resize(columns_.size());
}

ParquetRows::ParquetRows(std::unique_ptr<DiskFile> file, RowOptions options) : file_(std::move(file)), options_(std::move(options)) {
  const std::string footer = read_footer();
  auto schema = read_parquet_schema(footer);
  if (!schema) fail("the footer of the Parquet file is damaged");
  schema_ = *std::move(schema);
  if (schema_.encrypted) fail("an encrypted Parquet file, which is not read");
  choose_columns();
  std::vector<std::size_t> wanted;
  for (const Column& column : columns_) wanted.push_back(column.index);
  auto groups = read_parquet_row_groups(footer, wanted);
  if (!groups) fail("the footer of the Parquet file is damaged");
  groups_ = *std::move(groups);
  std::int64_t left = schema_.rows;
  for (const ParquetRowGroup& group : groups_) {
    for (const ParquetChunk& chunk : group.chunks)
      if (chunk.values != group.rows && !chunk.encrypted) fail("a row group has another number of values than rows: the footer is damaged");
    if (group.rows > left) fail("the row groups have more rows than the file: the footer is damaged");
    left -= group.rows;
  }
  if (left != 0)
    fail(fmt::format("the row groups have {} rows, the file says {}: the footer is damaged", schema_.rows - left, schema_.rows));
}

void ParquetRows::end_group() {
  for (std::size_t i = 0; groups_[group_ - 1].rows > 0 && i < columns_.size(); ++i) columns_[i].reader->finish();
  for (const ParquetChunk& chunk : groups_[group_ - 1].chunks) file_->hash_to(chunk.offset + chunk.bytes);
}

/// Goes to the next row group that has rows. False at the end.
bool ParquetRows::begin_group() {
  while (left_ == 0) {
    if (group_ > 0) end_group();
    if (group_ == groups_.size()) return false;
    const ParquetRowGroup& group = groups_[group_++];
    left_ = group.rows;
    for (std::size_t i = 0; left_ > 0 && i < columns_.size(); ++i) columns_[i].reader->begin(group.chunks[i]);
  }
  return true;
}

bool ParquetRows::next(Row& row) {
  if (!begin_group()) return false;
  --left_;
  row = {};
  row.line = ++number_;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    std::string_view value;
    values_[i] = columns_[i].reader->next(value) ? std::optional(value) : std::nullopt;
  }
  if (!values_[text_]) {
    row.fault = RowFault{"null", fmt::format("the column \"{}\" is null", options_.text_field)};
    return true;
  }
  row.raw = *values_[text_];
  if (std::ssize(row.raw) > kMaxRowBytes)
    row.fault = RowFault{"too long", fmt::format("the text is longer than {} MiB, the most a row may have", kMaxRowBytes >> 20)};
  // A dictionary lets a few bytes stand for any number of long texts.
  text_bytes_ += std::ssize(row.raw);
  if (text_bytes_ > kFreeBytes && text_bytes_ / kMaxGrowth > file_->size())
    fail(fmt::format("its texts are more than {} times as long as the file", kMaxGrowth));
  return true;
}

void ParquetRows::read(Row& row) {
  row.text = row.raw;
  if (options_.metadata.empty()) return;
  std::vector<std::string> texts;
  for (const auto& place : metadata_) texts.push_back(place && values_[*place] ? value_text(*place, *values_[*place]) : "null");
  row.metadata = json_object(options_.metadata, texts);
}

std::string ParquetRows::value_text(std::size_t column, std::string_view value) const {
  const ParquetColumn& kind = schema_.columns[columns_[column].index];
  switch (kind.type) {
    case ParquetType::boolean:
      return value[0] != 0 ? "true" : "false";
    case ParquetType::int32:
      return kind.is_unsigned() ? std::to_string(number_from<std::uint32_t>(value)) : std::to_string(number_from<std::int32_t>(value));
    case ParquetType::int64:
      return kind.is_unsigned() ? std::to_string(number_from<std::uint64_t>(value)) : std::to_string(number_from<std::int64_t>(value));
    case ParquetType::real32:
      return real_text(number_from<float>(value), fmt::format("{}", number_from<float>(value)));
    case ParquetType::real64:
      return real_text(number_from<double>(value), fmt::format("{}", number_from<double>(value)));
    default:
      return json_string(value);
  }
}

std::optional<std::int64_t> ParquetRows::disk_bytes() const {
  if (number_ == schema_.rows) return file_->size();
  return static_cast<std::int64_t>(static_cast<double>(file_->size()) * static_cast<double>(number_) / static_cast<double>(schema_.rows));
}

}  // namespace longhaul::ingest
