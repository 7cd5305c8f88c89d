// files/disk.h — every operation that changes the disk, behind one class.
//
// Checkpoints and the ledger promise that a crash at any moment loses nothing that was acknowledged. That is only testable if one class
// makes all their writes: a Disk calls a hook before each operation, which may make it fail (ENOSPC, EIO…) or end the process.
// Files are created with O_EXCL and O_NOFOLLOW, so nothing is overwritten and no symbolic link is followed; renames never replace.
//
// After a failed fsync Linux marks the pages clean, so a second fsync "succeeds" with data lost (Rebello et al., ATC 2020): a failed
// operation here is final, the caller abandons the file and writes everything again under a new name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "files/file_error.h"
#include "files/hash.h"

namespace longhaul::files {

enum class Operation {
  create_directory,
  create_file,
  write,
  sync_file,
  close,
  rename,
  sync_directory,
  remove_file,
  remove_directory,
  truncate
};

/// Called before each operation; returns 0 to continue or the errno to fail with.
using Hook = std::function<int(Operation, const std::filesystem::path&)>;

/// Thread-compatible: one writer at a time.
class Disk {
 public:
  Disk() = default;
  explicit Disk(Hook before) : before_(std::move(before)) {}

  /// Creates one directory; an error if it exists.
  void create_directory(const std::filesystem::path& path) const;
  /// Renames a file or directory; an error if the target exists.
  void rename(const std::filesystem::path& from, const std::filesystem::path& to) const;
  /// Renames a file over another one, atomically.
  void replace(const std::filesystem::path& from, const std::filesystem::path& to) const;
  /// Makes the names in a directory durable.
  void sync_directory(const std::filesystem::path& path) const;
  void remove_file(const std::filesystem::path& path) const;
  /// Removes an empty directory.
  void remove_directory(const std::filesystem::path& path) const;

  /// Throws FileError if the hook returns an errno; public for the writers built on this class.
  void before(Operation operation, const std::filesystem::path& path) const;

 private:
  Hook before_;
};

/// A new file, hashed as it is written. Without finish() the file is incomplete and the caller removes it.
class FileWriter {
 public:
  FileWriter(const Disk& disk, const std::filesystem::path& path);
  ~FileWriter();
  FileWriter(const FileWriter&) = delete;
  FileWriter& operator=(const FileWriter&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
  /// fsync, close; returns the digest of what was written.
  FileDigest finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// A file that grows by whole records (JSON lines): each append is one write; a failed one is cut off again.
class AppendFile {
 public:
  /// Opens or creates.
  AppendFile(const Disk& disk, const std::filesystem::path& path);
  ~AppendFile();
  AppendFile(const AppendFile&) = delete;
  AppendFile& operator=(const AppendFile&) = delete;

  /// Appends all of `text` or nothing (throws FileError; the file keeps its former length).
  void append(std::string_view text);
  void truncate(std::uint64_t bytes);
  /// A failed fsync may have marked pages clean that never reached the disk, and the next one then succeeds over the hole (Rebello et al.,
  /// ATC 2020). So after a failure the file is written anew under another name and put in place before a sync may succeed.
  void sync();
  std::uint64_t size() const { return size_; }

 private:
  void open();
  void write_anew();

  const Disk disk_;
  std::filesystem::path path_;
  int descriptor_ = -1;
  std::uint64_t size_ = 0;
  bool torn_ = false;      ///< the file may be longer than size_
  bool unsynced_ = false;  ///< an fsync failed
};

/// Writes `text` as `path`: temporary name, fsync, rename over, fsync of the directory. Readers see the old file or the new one.
void write_file_atomically(const Disk& disk, const std::filesystem::path& path, std::string_view text);
/// The same for a file that a user named: a link stays and what it leads to is written; a pipe or a device is written to, never replaced.
/// Errors name the file as the user did.
void write_named_file(const std::filesystem::path& path, std::string_view text);

/// A version-4 UUID from the kernel's random numbers, for names that must not repeat.
std::string random_uuid();

}  // namespace longhaul::files
