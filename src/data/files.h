// data/files.h — the few file operations of this room: output that reports every failure and reaches the disk, hashes of files.
//
// A write that fails (disk full, quota, I/O) is an Error naming the file; a failed fsync is final, since Linux may have dropped the
// pages (Rebello et al., ATC 2020), so nothing here retries.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace longhaul::data {

/// A SHA-256 in progress.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void update(std::span<const std::byte> bytes);
  void update(std::string_view text) { update(std::as_bytes(std::span(text))); }
  /// 64 hexadecimal digits; once.
  std::string finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string sha256(std::string_view text);
std::string sha256_file(const std::filesystem::path& file);

/// A new file, written through a buffer. finish() syncs it; without it the destructor only closes.
class OutputFile {
 public:
  explicit OutputFile(std::filesystem::path path);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
  /// Overwrites bytes already written (a header completed at the end).
  void overwrite(std::uint64_t offset, std::span<const std::byte> bytes);
  void finish();
  std::uint64_t size() const { return size_; }
  const std::filesystem::path& path() const { return path_; }

 private:
  void flush();
  [[noreturn]] void fail(const char* doing) const;
  std::filesystem::path path_;
  int descriptor_ = -1;
  std::uint64_t size_ = 0;
  std::vector<std::byte> buffer_;
};

/// Reads a file front to back in pieces of up to 1 MiB. @throws DataError naming the file
void read_pieces(const std::filesystem::path& file, const std::function<void(std::string_view)>& visit);
/// The whole file; `limit` in bytes guards against the wrong file. @throws DataError
std::string read_file(const std::filesystem::path& file, std::int64_t limit);
/// Makes a directory's entries durable. @throws Error
void sync_directory(const std::filesystem::path& directory);

}  // namespace longhaul::data
