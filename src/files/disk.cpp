#include "files/disk.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <span>
#include <system_error>
#include <utility>

#include "units/error.h"

namespace longhaul::files {
namespace {

[[noreturn]] void fail(std::string_view action, const std::filesystem::path& path, int errno_value = errno) {
  throw FileError(action, path, errno_value);
}

/// write(2) until all is written; a short write is followed by a call that fails with the reason.
void write_all(int descriptor, const std::filesystem::path& path, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      fail("write", path);
    }
    if (written == 0) fail("write", path, EIO);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

constexpr std::string_view action_name(Operation operation) {
  switch (operation) {
    case Operation::create_directory:
      return "create the directory";
    case Operation::create_file:
      return "create the file";
    case Operation::write:
      return "write";
    case Operation::sync_file:
      return "make the file durable (fsync)";
    case Operation::close:
      return "close the file";
    case Operation::rename:
      return "rename";
    case Operation::sync_directory:
      return "make the directory durable (fsync)";
    case Operation::remove_file:
      return "remove the file";
    case Operation::remove_directory:
      return "remove the directory";
    case Operation::truncate:
      return "truncate";
  }
  return "use";
}

}  // namespace

void Disk::before(Operation operation, const std::filesystem::path& path) const {
  if (!before_) return;
  if (const int error = before_(operation, path)) fail(action_name(operation), path, error);
}

void Disk::create_directory(const std::filesystem::path& path) const {
  before(Operation::create_directory, path);
  if (::mkdir(path.c_str(), 0777) != 0) fail(action_name(Operation::create_directory), path);
}

void Disk::rename(const std::filesystem::path& from, const std::filesystem::path& to) const {
  before(Operation::rename, from);
  const std::string action = "rename to " + to.filename().string();
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return;
  if (errno != EINVAL && errno != ENOSYS) fail(action, from);
  // A file system without RENAME_NOREPLACE (NFS): the run's lock keeps other writers of ours out between the look and the rename.
  struct stat status {};
  if (::lstat(to.c_str(), &status) == 0) fail(action, from, EEXIST);
  if (::rename(from.c_str(), to.c_str()) != 0) fail(action, from);
}

void Disk::replace(const std::filesystem::path& from, const std::filesystem::path& to) const {
  before(Operation::rename, from);
  if (::rename(from.c_str(), to.c_str()) != 0) fail("rename to " + to.filename().string(), from);
}

void Disk::sync_directory(const std::filesystem::path& path) const {
  before(Operation::sync_directory, path);
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) fail("open the directory", path);
  const int error = ::fsync(descriptor) == 0 ? 0 : errno;
  ::close(descriptor);
  // Some network file systems cannot sync a directory and make renames durable themselves.
  if (error != 0 && error != EINVAL && error != ENOTSUP) fail(action_name(Operation::sync_directory), path, error);
}

void Disk::remove_file(const std::filesystem::path& path) const {
  before(Operation::remove_file, path);
  if (::unlink(path.c_str()) != 0) fail(action_name(Operation::remove_file), path);
}

void Disk::remove_directory(const std::filesystem::path& path) const {
  before(Operation::remove_directory, path);
  if (::rmdir(path.c_str()) != 0) fail(action_name(Operation::remove_directory), path);
}

// --- FileWriter -------------------------------------------------------------------------------------------------------------------------

struct FileWriter::State {
  const Disk disk;
  std::filesystem::path path;
  int descriptor = -1;
  Sha256 hash;
  std::uint64_t bytes = 0;
};

FileWriter::FileWriter(const Disk& disk, const std::filesystem::path& path) : state_(new State{disk, path, -1, {}, 0}) {
  disk.before(Operation::create_file, path);
  state_->descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
  if (state_->descriptor < 0) fail(action_name(Operation::create_file), path);
}

FileWriter::~FileWriter() {
  if (state_->descriptor >= 0) ::close(state_->descriptor);
}

void FileWriter::write(std::span<const std::byte> bytes) {
  // Pieces: so that hash and write share the cache, and a fault can strike in the middle of a large tensor.
  constexpr std::size_t kPieceBytes = std::size_t{4} << 20;
  for (std::size_t begin = 0; begin < bytes.size(); begin += kPieceBytes) {
    const auto piece = bytes.subspan(begin, std::min(kPieceBytes, bytes.size() - begin));
    state_->disk.before(Operation::write, state_->path);
    write_all(state_->descriptor, state_->path, piece);
    state_->hash.update(piece);
    state_->bytes += piece.size();
  }
}

FileDigest FileWriter::finish() {
  state_->disk.before(Operation::sync_file, state_->path);
  if (::fsync(state_->descriptor) != 0) fail(action_name(Operation::sync_file), state_->path);
  state_->disk.before(Operation::close, state_->path);
  // close(2) may report a delayed write error (NFS); the descriptor is gone either way.
  if (::close(std::exchange(state_->descriptor, -1)) != 0) fail(action_name(Operation::close), state_->path);
  return {state_->hash.finish_hex(), state_->bytes};
}

// --- AppendFile -------------------------------------------------------------------------------------------------------------------------

AppendFile::AppendFile(const Disk& disk, const std::filesystem::path& path) : disk_(disk), path_(path) {
  disk_.before(Operation::create_file, path);
  open();
}

void AppendFile::open() {
  const int descriptor = ::open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0666);
  if (descriptor < 0) fail("open for appending", path_);
  struct stat status {};
  if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
    const int error = errno;
    ::close(descriptor);
    fail("append to anything but a regular file", path_, error != 0 ? error : EINVAL);
  }
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = descriptor;
  size_ = static_cast<std::uint64_t>(status.st_size);
}

AppendFile::~AppendFile() { ::close(descriptor_); }

void AppendFile::append(std::string_view text) {
  disk_.before(Operation::write, path_);
  // What a failed append left behind goes first, so that no half record ever stands between two whole ones.
  if (std::exchange(torn_, true) && ::ftruncate(descriptor_, static_cast<off_t>(size_)) != 0) fail(action_name(Operation::truncate), path_);
  try {
    write_all(descriptor_, path_, std::as_bytes(std::span(text)));
  } catch (const FileError&) {
    if (::ftruncate(descriptor_, static_cast<off_t>(size_)) == 0) torn_ = false;
    throw;
  }
  size_ += text.size();
  torn_ = false;
}

void AppendFile::truncate(std::uint64_t bytes) {
  disk_.before(Operation::truncate, path_);
  if (::ftruncate(descriptor_, static_cast<off_t>(bytes)) != 0) fail(action_name(Operation::truncate), path_);
  size_ = bytes;
}

void AppendFile::sync() {
  if (unsynced_) return write_anew();
  unsynced_ = true;
  disk_.before(Operation::sync_file, path_);
  if (::fsync(descriptor_) != 0) fail(action_name(Operation::sync_file), path_);
  unsynced_ = false;
}

void AppendFile::write_anew() {
  std::string text(size_, '\0');
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t got = ::pread(descriptor_, text.data() + done, text.size() - done, static_cast<off_t>(done));
    if (got <= 0) fail("read back", path_, got == 0 ? EIO : errno);
    done += static_cast<std::size_t>(got);
  }
  write_file_atomically(disk_, path_, text);
  open();
  torn_ = unsynced_ = false;
}

// --- whole files and names --------------------------------------------------------------------------------------------------------------

void write_file_atomically(const Disk& disk, const std::filesystem::path& path, std::string_view text) {
  const std::filesystem::path temporary = path.string() + ".tmp-" + random_uuid();
  try {
    FileWriter writer(disk, temporary);
    writer.write(text);
    writer.finish();
    disk.replace(temporary, path);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  disk.sync_directory(path.has_parent_path() ? path.parent_path() : ".");
}

void write_named_file(const std::filesystem::path& path, std::string_view text) {
  std::error_code none;
  std::filesystem::path target = path;
  constexpr int kLinks = 40;  // as many as the kernel follows
  for (int i = 0; i < kLinks && std::filesystem::is_symlink(target, none); ++i)
    target = target.parent_path() / std::filesystem::read_symlink(target);
  const std::filesystem::path folder = target.has_parent_path() ? target.parent_path() : ".";
  const std::filesystem::file_status status = std::filesystem::status(target, none);
  if (std::filesystem::is_directory(status)) throw Error(path.string() + ": cannot write: it is a folder; name a file in it");
  if (!std::filesystem::is_directory(folder, none)) throw Error(path.string() + ": cannot write: there is no folder " + folder.string());
  if (!std::filesystem::exists(status) || std::filesystem::is_regular_file(status)) return write_file_atomically(Disk(), target, text);
  std::ofstream device(target);
  device << text << std::flush;
  if (!device) throw Error(path.string() + ": cannot write to it");
}

std::string random_uuid() {
  std::array<unsigned char, 16> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) throw Error("the kernel gave no random numbers");
  bytes[6] = static_cast<unsigned char>((bytes[6] & 0x0F) | 0x40);  // version 4
  bytes[8] = static_cast<unsigned char>((bytes[8] & 0x3F) | 0x80);  // RFC 4122 variant
  std::string text;
  char pair[3];
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    std::snprintf(pair, sizeof pair, "%02x", bytes[i]);
    text += pair;
  }
  return text;
}

}  // namespace longhaul::files
