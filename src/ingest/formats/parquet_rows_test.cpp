#include "ingest/formats/parquet_rows.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "ingest/line_rows.h"
#include "tests/source_tree.h"
#include "units/error.h"
#include "units/test_directory.h"

namespace longhaul::ingest {
namespace {

namespace fs = std::filesystem;

/// Text or fault of a row, and its metadata.
struct ParquetRow {
  std::string text;
  nlohmann::json metadata;
  bool operator==(const ParquetRow&) const = default;
};
void PrintTo(const ParquetRow& row, std::ostream* out) { *out << row.text << " " << row.metadata; }

std::vector<ParquetRow> rows_from(RowReader& reader) {
  std::vector<ParquetRow> rows;
  for (Row row; reader.next(row);) {
    if (!row.fault) reader.read(row);
    rows.push_back({row.fault ? "!" + row.fault->reason : std::string(row.text),
                    row.metadata.empty() ? nlohmann::json() : nlohmann::json::parse(row.metadata)});
  }
  return rows;
}

std::vector<ParquetRow> parquet_rows_of(const fs::path& file, const std::string& column = "text",
                                        const std::vector<std::string>& metadata = {}) {
  RowOptions options;
  options.text_field = column;
  options.metadata = metadata;
  ParquetRows rows(std::make_unique<DiskFile>(file), options);
  return rows_from(rows);
}

/// What tests/golden/parquet/make.py put into each of its files.
std::vector<ParquetRow> golden_rows(const std::string& column, const std::vector<std::string>& metadata) {
  const std::string file = TestDirectory::read(source_tree("tests/golden/parquet/rows.jsonl"));
  RowOptions options;
  options.text_field = column;
  options.metadata = metadata;
  bool given = false;
  LineRows rows(
      [&](std::string& into) {
        if (!given) into += file;
        return !std::exchange(given, true);
      },
      options);
  std::vector<ParquetRow> found = rows_from(rows);
  for (ParquetRow& row : found)
    if (row.text.starts_with("!")) row.metadata = nullptr;
  return found;
}

std::vector<fs::path> golden_files() {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(source_tree("tests/golden/parquet")))
    if (entry.path().extension() == ".parquet") files.push_back(entry.path());
  return files;
}

fs::path refused_file(const std::string& name) { return source_tree("tests/golden/parquet/refused/" + name + ".parquet"); }

void expect_refused(const fs::path& file, const std::string& says, const std::string& column = "text",
                    const std::vector<std::string>& metadata = {}) {
  const std::string message = message_of<DataError>([&] { parquet_rows_of(file, column, metadata); });
  EXPECT_TRUE(contains(message, file.string() + ": ")) << message;
  EXPECT_TRUE(contains(message, says)) << message;
}

TEST(Parquet, FilesOfEveryWriterAndEncodingHoldTheSameRows) {
  const std::vector<std::string> metadata{"url", "id", "small", "score", "ok", "meta.lang", "nothing"};
  const std::vector<ParquetRow> texts = golden_rows("text", metadata);
  ASSERT_EQ(texts.size(), 60u);
  EXPECT_EQ(texts[3].text, "!null");
  ASSERT_EQ(golden_files().size(), 8u);
  for (const fs::path& file : golden_files()) EXPECT_EQ(parquet_rows_of(file, "text", metadata), texts) << file;
}

TEST(Parquet, ATextMayBeInAStruct) {
  const std::vector<ParquetRow> languages = golden_rows("meta.lang", {});
  for (const fs::path& file : golden_files()) {
    const std::vector<ParquetRow> found = parquet_rows_of(file, "meta.lang");
    ASSERT_EQ(found.size(), languages.size()) << file;
    // A row whose struct is null has no field in JSON, and a null in Parquet.
    for (std::size_t i = 0; i < found.size(); ++i)
      EXPECT_EQ(found[i].text, languages[i].text == "!missing field" ? "!null" : languages[i].text) << file << " " << i;
  }
}

TEST(Parquet, WhatIsNotReadIsRefusedByItsName) {
  expect_refused(refused_file("brotli"),
                 "column \"text\" is compressed with BROTLI, which is not read; allowed are SNAPPY, GZIP, ZSTD and none");
  expect_refused(refused_file("lz4"), "is compressed with LZ4_RAW");
  const fs::path types = refused_file("types");
  expect_refused(types, "no column \"body\"; the file has \"text\", \"list.list.element\", \"when\"", "body");
  expect_refused(types, "the column \"list.list.element\" is a list of BYTE_ARRAY (STRING), not texts", "list.list.element");
  expect_refused(types, "the column \"number\" is INT64, not texts", "number");
  expect_refused(types, "the column \"sum\" is FIXED_LEN_BYTE_ARRAY (DECIMAL), not texts", "sum");
  expect_refused(types, "the column \"when\" of --metadata is INT64 (TIMESTAMP); read are texts", "text", {"when"});
  expect_refused(types, "the column \"pairs.key_value.key\" of --metadata is a list of", "text", {"pairs.key_value.key"});
  expect_refused(refused_file("encoding"), "its values (FLOAT) have the encoding BYTE_STREAM_SPLIT, which is not read", "text", {"score"});
}

TEST(Parquet, FilesThatAreNoneAreNamed) {
  const TestDirectory directory;
  expect_refused(directory.write("a.parquet", "{\"text\": \"a\"}\n"), "is no Parquet file: its first bytes are not PAR1");
  expect_refused(directory.write("b.parquet", "\x1F\x8B\x08 and so on"), "holds gzip data, not a Parquet file");
  expect_refused(directory.write("c.parquet", "PAR1"), "has no footer at its end: it was cut off");
  expect_refused(directory.write("d.parquet", "PARE0123456789"), "an encrypted Parquet file, which is not read");
  expect_refused(directory.write("e.parquet", std::string("PAR1\xFF\xFF\0\0PAR1", 12)),
                 "the footer's length, 65535 bytes, is more than the file has");
}

TEST(Parquet, APageThatDoesNotMatchItsChecksumIsDamaged) {
  const TestDirectory directory;
  std::string file = TestDirectory::read(source_tree("tests/golden/parquet/dictionary_v2_zstd_groups_checksums.parquet"));
  std::size_t found = 0;
  for (std::size_t at = 4; at < 2000; at += 7) {
    std::string damaged = file;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x40);
    try {
      parquet_rows_of(directory.write("f.parquet", damaged));  // other columns' pages are not read
    } catch (const DataError& error) {
      found += contains(error.what(), "its checksum (CRC-32) is not that of its bytes");
    }
  }
  EXPECT_GT(found, 20u);
}

/// Every file cut anywhere is refused by name: its footer is at its end.
TEST(Parquet, TruncatedFilesAreRefused) {
  const TestDirectory directory;
  for (const fs::path& file : golden_files()) {
    const std::string whole = TestDirectory::read(file);
    for (std::size_t size = 1; size < whole.size(); size += 61)
      EXPECT_FALSE(message_of<DataError>([&] { parquet_rows_of(directory.write("f.parquet", whole.substr(0, size))); }).empty())
          << file << size;
  }
}

/// Whatever byte is another one: all rows, or an error that names the file. Never more or fewer rows.
TEST(Parquet, ChangedBytesGiveAllRowsOrAnError) {
  const TestDirectory directory;
  std::mt19937 random(7);
  int refused = 0, read = 0;
  for (const fs::path& file : golden_files()) {
    const std::string whole = TestDirectory::read(file);
    for (int k = 0; k < 250; ++k) {
      std::string changed = whole;
      changed[random() % changed.size()] = static_cast<char>(random());
      const fs::path path = directory.write("f.parquet", changed);
      try {
        EXPECT_EQ(parquet_rows_of(path, "text", {"id", "url", "ok"}).size(), 60u) << file;
        ++read;
      } catch (const DataError& error) {
        EXPECT_TRUE(contains(error.what(), path.string() + ": ")) << error.what();
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, 300);
  EXPECT_GT(read, 300);
}

}  // namespace
}  // namespace longhaul::ingest
