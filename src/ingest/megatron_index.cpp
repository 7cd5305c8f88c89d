#include "ingest/megatron_index.h"

#include <fmt/format.h>

#include <cstring>
#include <string_view>

#include "units/error.h"

namespace longhaul::ingest {

namespace {

constexpr std::string_view kMagic("MMIDIDX\0\0", 9);
constexpr std::int64_t kMaxCount = std::int64_t{1} << 40;
constexpr const char* kFix = "copy the .idx and its .bin again, or make both again";

[[noreturn]] void damaged(const std::filesystem::path& path, std::int64_t offset, const std::string& what) {
  throw DataError(fmt::format("{}: byte offset {}: {}; {}", path.string(), offset, what, kFix));
}

files::MappedFile map_index(const std::filesystem::path& path) {
  try {
    return files::MappedFile(path);
  } catch (const Error& error) {
    throw DataError(fmt::format("{}; the index of Megatron's data lies beside its .bin, under the same name with .idx", error.what()));
  }
}

}  // namespace

template <class T>
T MegatronIndex::number(std::int64_t offset) const {
  T value;
  std::memcpy(&value, file_.bytes().data() + offset, sizeof value);
  return value;
}

MegatronIndex::MegatronIndex(const std::filesystem::path& index, std::int64_t bin_bytes) : path_(index), file_(map_index(index)) {
  read_header();
  check_sequences(bin_bytes);
  check_documents();
}

void MegatronIndex::read_header() {
  const auto bytes = static_cast<std::int64_t>(file_.bytes().size());
  if (bytes < kLengths) damaged(path_, bytes, fmt::format("truncated: {} bytes, fewer than a header's {}", bytes, kLengths));
  if (std::memcmp(file_.bytes().data(), kMagic.data(), kMagic.size()) != 0)
    damaged(path_, 0, "no index of Megatron's: it does not begin with MMIDIDX");
  if (const auto version = number<std::uint64_t>(9); version != 1) damaged(path_, 9, fmt::format("version {}; 1 is read", version));
  const auto type = number<std::uint8_t>(17);
  constexpr int kBytes[] = {0, 1, 1, 2, 4, 8, 0, 0, 2};  // u8, i8, i16, i32, i64, f64, f32, u16: ids are whole numbers
  id_bytes_ = type < std::size(kBytes) ? kBytes[type] : 0;
  if (id_bytes_ == 0)
    damaged(path_, 17, fmt::format("type {} holds no ids; allowed: 1 (u8), 2 (i8), 3 (i16), 4 (i32), 5 (i64), 8 (u16)", type));
  is_signed_ = type >= 2 && type <= 5;
  const auto sequences = number<std::uint64_t>(18), boundaries = number<std::uint64_t>(26);
  if (sequences >= kMaxCount || boundaries >= kMaxCount || boundaries == 0)
    damaged(path_, 18, fmt::format("{} sequences and {} beginnings of documents are impossible", sequences, boundaries));
  sequences_ = static_cast<std::int64_t>(sequences);
  boundaries_ = static_cast<std::int64_t>(boundaries);
  const std::int64_t wanted = kLengths + 12 * sequences_ + 8 * boundaries_;
  if (bytes != wanted && bytes != wanted + sequences_)
    damaged(path_, std::min(bytes, wanted),
            fmt::format("{}: {} bytes, the header promises {} ({} sequences, {} beginnings of documents)",
                        bytes < wanted ? "truncated" : "too long", bytes, wanted, sequences_, boundaries_));
}

void MegatronIndex::check_sequences(std::int64_t bin_bytes) {
  std::int64_t at = 0;  // in the .bin
  for (std::int64_t s = 0; s < sequences_; ++s) {
    if (length(s) < 0) damaged(path_, kLengths + 4 * s, fmt::format("sequence {} has {} ids", s, length(s)));
    const std::int64_t offset = kLengths + 4 * sequences_ + 8 * s;
    if (const auto pointer = number<std::int64_t>(offset); pointer != at)
      damaged(path_, offset, fmt::format("sequence {} begins at byte {} of the .bin, the ones before end at {}", s, pointer, at));
    at += length(s) * id_bytes_;
  }
  tokens_ = at / id_bytes_;
  if (at == bin_bytes) return;
  std::filesystem::path bin = path_;
  bin.replace_extension(".bin");
  damaged(bin, std::min(at, bin_bytes),
          fmt::format("{}: {} bytes, {} promises {} ({} ids of {} bytes)", bin_bytes < at ? "truncated" : "too long", bin_bytes,
                      path_.filename().string(), at, tokens_, id_bytes_));
}

void MegatronIndex::check_documents() {
  const std::int64_t begin = kLengths + 12 * sequences_;
  if (document(0) != 0) damaged(path_, begin, fmt::format("the first document begins with sequence {}, not 0", document(0)));
  for (std::int64_t d = 1; d < boundaries_; ++d)
    if (document(d) < document(d - 1) || document(d) > sequences_)
      damaged(
          path_, begin + 8 * d,
          fmt::format("document {} begins with sequence {}, the one before with {} of {}", d, document(d), document(d - 1), sequences_));
  if (document(boundaries_ - 1) != sequences_)
    damaged(path_, begin + 8 * (boundaries_ - 1),
            fmt::format("the documents end with sequence {} of {}", document(boundaries_ - 1), sequences_));
}

bool MegatronIndex::next_document(std::int64_t& tokens) {
  if (next_ + 1 >= boundaries_) return false;
  tokens = 0;
  for (std::int64_t s = document(next_); s < document(next_ + 1); ++s) tokens += length(s);
  ++next_;
  return true;
}

}  // namespace longhaul::ingest
