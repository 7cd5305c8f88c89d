// ingest/formats/disk_file.h — one file as it is on disk, read front to back or at any place, with the SHA-256 of all its bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

#include "files/hash.h"
#include "ingest/formats/byte_stream.h"

namespace longhaul::ingest {

class DiskFile final : public ByteStream {
 public:
  /// @throws DataError naming the file, as all other functions do
  explicit DiskFile(std::filesystem::path path);
  ~DiskFile() override;
  DiskFile(const DiskFile&) = delete;
  DiskFile& operator=(const DiskFile&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::int64_t size() const { return size_; }

  /// The next bytes, which are hashed as they pass.
  std::size_t read(char* into, std::size_t size) override;
  /// How far read() is.
  std::int64_t position() const { return position_; }
  /// `size` bytes from `offset`, wherever read() is.
  void read_at(std::int64_t offset, char* into, std::size_t size) const;
  /// Hashes what is before `offset` and was not yet: soon after read_at() has read it, so that the disk is not asked twice.
  void hash_to(std::int64_t offset);
  /// Of the whole file; call once, at the end.
  std::string sha256();

 private:
  std::filesystem::path path_;
  int descriptor_;
  std::int64_t size_ = 0, position_ = 0;
  files::Sha256 hash_;
};

}  // namespace longhaul::ingest
