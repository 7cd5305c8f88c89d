#include "ingest/formats/disk_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <span>
#include <utility>

#include "units/error.h"

namespace longhaul::ingest {

namespace {

constexpr std::size_t kHashedPiece = std::size_t{256} << 10;

[[noreturn]] void cannot(const char* what, const std::filesystem::path& path) {
  throw DataError(fmt::format("{}: cannot {} the file: {}", path.string(), what, std::strerror(errno)));
}

}  // namespace

DiskFile::DiskFile(std::filesystem::path path) : path_(std::move(path)), descriptor_(::open(path_.c_str(), O_RDONLY | O_CLOEXEC)) {
  struct stat status {};
  if (descriptor_ < 0 || ::fstat(descriptor_, &status) != 0) cannot("open", path_);
  size_ = status.st_size;
}
DiskFile::~DiskFile() { ::close(descriptor_); }

std::size_t DiskFile::read(char* into, std::size_t size) {
  ssize_t n;
  do n = ::read(descriptor_, into, size);
  while (n < 0 && errno == EINTR);
  if (n < 0) cannot("read", path_);
  hash_.update(std::as_bytes(std::span(into, static_cast<std::size_t>(n))));
  position_ += n;
  return static_cast<std::size_t>(n);
}

void DiskFile::read_at(std::int64_t offset, char* into, std::size_t size) const {
  for (std::size_t done = 0; done < size;) {
    const ssize_t n = ::pread(descriptor_, into + done, size - done, offset + static_cast<std::int64_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) cannot("read", path_);
    if (n == 0) throw DataError(fmt::format("{}: the file became shorter while it was read", path_.string()));
    done += static_cast<std::size_t>(n);
  }
}

void DiskFile::hash_to(std::int64_t offset) {
  std::string piece(kHashedPiece, '\0');
  for (std::size_t count = 1; position_ < offset && count > 0;)
    count = read(piece.data(), static_cast<std::size_t>(std::min<std::int64_t>(offset - position_, kHashedPiece)));
}

std::string DiskFile::sha256() {
  hash_to(std::numeric_limits<std::int64_t>::max());
  return hash_.finish_hex();
}

}  // namespace longhaul::ingest
