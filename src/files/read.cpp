#include "files/read.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>
#include <vector>

namespace longhaul::files {
namespace {

/// A descriptor of a regular file, and its size.
class Opened {
 public:
  explicit Opened(const std::filesystem::path& path) : descriptor_(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)) {
    if (descriptor_ < 0) throw FileError("open", path, errno);
    struct stat status {};
    if (::fstat(descriptor_, &status) != 0) {
      const int error = errno;
      ::close(descriptor_);
      throw FileError("examine", path, error);
    }
    if (!S_ISREG(status.st_mode)) {
      ::close(descriptor_);
      throw FileError("read anything but a regular file", path, S_ISDIR(status.st_mode) ? EISDIR : EINVAL);
    }
    bytes_ = static_cast<std::uint64_t>(status.st_size);
  }
  ~Opened() { ::close(descriptor_); }
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;

  int descriptor() const { return descriptor_; }
  std::uint64_t bytes() const { return bytes_; }

 private:
  int descriptor_;
  std::uint64_t bytes_ = 0;
};

/// read(2) with retries after signals; 0 at the end.
std::size_t read_some(const Opened& file, const std::filesystem::path& path, std::span<std::byte> into) {
  for (;;) {
    const ssize_t got = ::read(file.descriptor(), into.data(), into.size());
    if (got >= 0) return static_cast<std::size_t>(got);
    if (errno != EINTR) throw FileError("read", path, errno);
  }
}

}  // namespace

std::string read_file(const std::filesystem::path& path, std::uint64_t max_bytes) {
  const Opened file(path);
  const auto too_large = [&] {
    return Error(path.string() + ": larger than " + std::to_string(max_bytes) + " bytes, the most such a file may have");
  };
  if (file.bytes() > max_bytes) throw too_large();
  std::string text(static_cast<std::size_t>(file.bytes()), '\0');
  std::size_t filled = 0;
  while (filled < text.size()) {
    const std::size_t got = read_some(file, path, std::as_writable_bytes(std::span(text)).subspan(filled));
    if (got == 0) break;
    filled += got;
  }
  text.resize(filled);
  return text;
}

std::string read_input(const std::filesystem::path& path, std::uint64_t max_bytes) {
  try {
    return read_file(path, max_bytes);
  } catch (const FileError& error) {
    if (error.errno_value == EIO) throw;
    throw UsageError(error.what());
  } catch (const Error& error) {
    throw UsageError(error.what());
  }
}

MappedFile::MappedFile(const std::filesystem::path& path) {
  const Opened file(path);
  if (file.bytes() == 0) return;
  void* address = ::mmap(nullptr, static_cast<std::size_t>(file.bytes()), PROT_READ, MAP_PRIVATE, file.descriptor(), 0);
  if (address == MAP_FAILED) throw FileError("map", path, errno);
  bytes_ = {static_cast<const std::byte*>(address), static_cast<std::size_t>(file.bytes())};
}
MappedFile::MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  return *this;
}
MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

FileDigest digest_file(const std::filesystem::path& path, bool from_disk) {
  const Opened file(path);
  // Clean pages of a file that was fsynced are dropped; what cannot be dropped is simply read from memory.
  if (from_disk) ::posix_fadvise(file.descriptor(), 0, 0, POSIX_FADV_DONTNEED);
  ::posix_fadvise(file.descriptor(), 0, 0, POSIX_FADV_SEQUENTIAL);
  Sha256 hash;
  std::vector<std::byte> buffer(std::size_t{1} << 20);
  std::uint64_t bytes = 0;
  while (const std::size_t got = read_some(file, path, buffer)) {
    hash.update(std::span(buffer).first(got));
    bytes += got;
  }
  return {hash.finish_hex(), bytes};
}

}  // namespace longhaul::files
