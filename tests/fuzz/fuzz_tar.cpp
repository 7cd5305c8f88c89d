// WebDataset archives from memory: whatever the bytes, samples lie inside the archive at rising places, and are the same however it arrives
// in pieces.
// rooms: ingest
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "ingest/formats/tar_rows.h"
#include "units/error.h"

namespace {

using namespace longhaul;

class Pieces final : public ingest::ByteStream {
 public:
  Pieces(const std::string& bytes, std::size_t piece) : bytes_(bytes), piece_(piece) {}
  std::size_t read(char* into, std::size_t size) override {
    const std::size_t count = std::min({size, piece_, bytes_.size() - at_});
    std::memcpy(into, bytes_.data() + at_, count);
    at_ += count;
    return count;
  }

 private:
  const std::string& bytes_;
  const std::size_t piece_;
  std::size_t at_ = 0;
};

using Found = std::tuple<std::int64_t, std::int64_t, std::string, std::string>;

std::vector<Found> samples(const std::string& archive, std::size_t piece) {
  ingest::RowOptions options;
  options.text_field = archive.empty() || archive[0] % 2 == 0 ? "text" : "json.a";
  ingest::TarRows rows(std::make_unique<Pieces>(archive, piece), options);
  std::vector<Found> found;
  try {
    for (ingest::Row row; rows.next(row);) {
      if (!row.fault) rows.read(row);
      if (row.byte < 0 || row.byte > std::ssize(archive) || (!found.empty() && row.line <= std::get<0>(found.back()))) std::abort();
      found.emplace_back(row.line, row.byte, std::string(row.fault ? "" : row.text), row.fault ? row.fault->reason : "");
    }
  } catch (const DataError& error) {
    found.emplace_back(-1, 0, error.what(), "error");
  }
  return found;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size < 1) return 0;
  const std::string archive(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  if (samples(archive, 1 + bytes[0]) != samples(archive, archive.size() + 1)) std::abort();
  return 0;
}
