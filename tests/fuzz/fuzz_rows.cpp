// Files of rows from memory: whatever the bytes, each reader gives rows inside the file, at rising places, and the same ones however the
// text arrives in pieces. Compressed data either end in a DataError or give the same bytes in pieces of any size.
// rooms: data
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ingest/formats/byte_stream.h"
#include "ingest/formats/csv_rows.h"
#include "ingest/formats/json_array.h"
#include "ingest/line_rows.h"
#include "units/error.h"
#include "units/utf8.h"

namespace {

using namespace longhaul;
using More = std::function<bool(std::string&)>;

struct Found {
  std::int64_t line, byte;
  std::string text, reason;
  bool operator==(const Found&) const = default;
};

std::unique_ptr<ingest::RowReader> reader_of(int kind, const More& more) {
  if (kind == 0) return std::make_unique<ingest::LineRows>(more, ingest::RowOptions{});
  if (kind == 1) return std::make_unique<ingest::JsonArrayRows>(more, ingest::RowOptions{});
  return std::make_unique<ingest::CsvRows>(more, kind == 2 ? ',' : '\t', ingest::RowOptions{}, "fuzz");
}

std::vector<Found> rows_in_pieces(int kind, const std::string& file, std::size_t piece) {
  std::size_t at = 0;
  const auto reader = reader_of(kind, [&](std::string& into) {
    if (at >= file.size()) return false;
    into += file.substr(at, piece);
    at += piece;
    return true;
  });
  std::vector<Found> found;
  try {
    for (ingest::Row row; reader->next(row);) {
      const bool valid = !first_invalid_utf8(row.raw);
      if (!row.fault && valid) reader->read(row);
      if (row.byte < 0 || row.byte + std::ssize(row.raw) > std::ssize(file) || (!found.empty() && row.byte < found.back().byte))
        std::abort();
      if (file.substr(static_cast<std::size_t>(row.byte), row.raw.size()) != row.raw) std::abort();
      found.push_back({row.line, row.byte, std::string(row.fault || !valid ? row.raw : row.text), row.fault ? row.fault->reason : ""});
    }
  } catch (const DataError& error) {  // a table without its column
    found.push_back({0, 0, error.what(), "error"});
  }
  return found;
}

class Memory final : public ingest::ByteStream {
 public:
  explicit Memory(const std::string& bytes) : bytes_(bytes) {}
  std::size_t read(char* into, std::size_t size) override {
    const std::size_t count = std::min(size, bytes_.size() - at_);
    std::memcpy(into, bytes_.data() + at_, count);
    at_ += count;
    return count;
  }

 private:
  const std::string& bytes_;
  std::size_t at_ = 0;
};

std::string decompress_in_pieces(const std::string& file, std::size_t piece) {
  constexpr std::size_t kMost = 4u << 20;
  std::string text, buffer(piece, '\0');
  try {
    const auto stream = ingest::decompressed(std::make_unique<Memory>(file), "fuzz");
    for (std::size_t count = 1; count > 0 && text.size() < kMost; text.append(buffer, 0, count)) count = stream->read(buffer.data(), piece);
  } catch (const DataError&) {
    return "error";
  }
  return text.size() < kMost ? text : "much";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size < 2) return 0;
  const int kind = bytes[0] % 5;
  const std::size_t piece = 1 + bytes[1] % 64;
  const std::string file(reinterpret_cast<const char*>(bytes) + 2, size - 2);
  if (kind == 4) {
    if (decompress_in_pieces(file, piece) != decompress_in_pieces(file, 1u << 16)) std::abort();
  } else {
    const std::string array = kind == 1 ? "[" + file : file;
    if (rows_in_pieces(kind, array, piece) != rows_in_pieces(kind, array, array.size() + 1)) std::abort();
  }
  return 0;
}
