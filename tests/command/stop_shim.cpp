// tests/command/stop_shim.cpp — stops a process at an exact point of a save, or lets its disk be full, by LD_PRELOAD.
//
// LONGHAUL_STOP_AT=CALL:TEXT kills the process (SIGKILL, as a power cut would look to it) just before the first rename to a path that
// contains TEXT (CALL = rename), or just before the first fsync of a file whose path contains TEXT (CALL = fsync).
//
// LONGHAUL_FULL_AFTER=BYTES:TEXT fails with ENOSPC what is written to files whose path contains TEXT once so many bytes were
// written to them; the write that reaches the limit writes what still fits, as a disk does.
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace {

void stop_if_asked(const std::string& call, const std::string& path) {
  const char* wanted = std::getenv("LONGHAUL_STOP_AT");
  if (wanted == nullptr) return;
  const std::string text = wanted;
  const std::size_t colon = text.find(':');
  if (text.substr(0, colon) == call && path.find(text.substr(colon + 1)) != std::string::npos) kill(getpid(), SIGKILL);
}

template <typename Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

std::string path_of(int descriptor) {
  char path[4096];
  const ssize_t length = readlink(("/proc/self/fd/" + std::to_string(descriptor)).c_str(), path, sizeof path);
  return {path, static_cast<std::size_t>(length > 0 ? length : 0)};
}

/// How many of `size` bytes still fit; a limit that is not set does not bind.
std::size_t room_for(int descriptor, std::size_t size) {
  static std::atomic<std::size_t> written{0};
  const char* wanted = std::getenv("LONGHAUL_FULL_AFTER");
  if (wanted == nullptr) return size;
  char* text = nullptr;
  const std::size_t limit = std::strtoull(wanted, &text, 10);
  if (path_of(descriptor).find(text + 1) == std::string::npos) return size;
  const std::size_t before = written.fetch_add(size);
  return before >= limit ? 0 : std::min(size, limit - before);
}

}  // namespace

extern "C" {

ssize_t write(int descriptor, const void* bytes, size_t size) {
  const std::size_t room = room_for(descriptor, size);
  if (room == 0 && size > 0) {
    errno = ENOSPC;
    return -1;
  }
  return next<ssize_t(int, const void*, size_t)>("write")(descriptor, bytes, room);
}

int rename(const char* from, const char* to) {
  stop_if_asked("rename", to);
  return next<int(const char*, const char*)>("rename")(from, to);
}

int renameat2(int from_folder, const char* from, int to_folder, const char* to, unsigned int flags) {
  stop_if_asked("rename", to);
  return next<int(int, const char*, int, const char*, unsigned int)>("renameat2")(from_folder, from, to_folder, to, flags);
}

int fsync(int descriptor) {
  stop_if_asked("fsync", path_of(descriptor));
  return next<int(int)>("fsync")(descriptor);
}

int fdatasync(int descriptor) {
  stop_if_asked("fsync", path_of(descriptor));
  return next<int(int)>("fdatasync")(descriptor);
}

}  // extern "C"
