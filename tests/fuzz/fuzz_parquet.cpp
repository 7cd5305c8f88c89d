// Parquet files: whatever the bytes, rows come in rising order or the file is refused by name; twice the same.
// rooms: ingest
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ingest/formats/parquet_rows.h"
#include "units/error.h"

namespace {

using namespace longhaul;

using Found = std::pair<std::int64_t, std::string>;

std::vector<Found> rows_of(const std::filesystem::path& path) {
  std::vector<Found> found;
  try {
    ingest::ParquetRows rows(std::make_unique<ingest::DiskFile>(path), ingest::RowOptions{});
    constexpr std::size_t kMost = 10000;
    for (ingest::Row row; found.size() < kMost && rows.next(row);) {
      if (!row.fault) rows.read(row);
      if (!found.empty() && row.line <= found.back().first) std::abort();
      found.emplace_back(row.line, row.fault ? row.fault->reason : std::string(row.text));
    }
  } catch (const DataError& error) {
    found.emplace_back(-1, error.what());
  }
  return found;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  // The reader takes a file: it seeks. One file a process, in memory where the system has such a folder.
  static const std::filesystem::path kPath =
      (std::filesystem::exists("/dev/shm") ? std::filesystem::path("/dev/shm") : std::filesystem::temp_directory_path()) /
      ("fuzz_parquet." + std::to_string(::getpid()));
  std::ofstream(kPath, std::ios::binary).write(reinterpret_cast<const char*>(bytes), static_cast<std::streamsize>(size));
  const bool same = rows_of(kPath) == rows_of(kPath);
  std::filesystem::remove(kPath);
  if (!same) std::abort();
  return 0;
}
