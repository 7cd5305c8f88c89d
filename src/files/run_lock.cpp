#include "files/run_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <nlohmann/json.hpp>
#include <vector>

#include "files/disk.h"
#include "files/read.h"

namespace longhaul::files {
namespace {

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "unknown";
}

/// Differs after every start of the machine, so "pid 17 of this boot" is a process and "pid 17 of another boot" is not.
std::string boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  return std::getline(file, id) ? id : "unknown";
}

std::string read_descriptor(int descriptor) {
  std::array<char, 4096> text{};
  const ssize_t got = ::pread(descriptor, text.data(), text.size(), 0);
  return got > 0 ? std::string(text.data(), static_cast<std::size_t>(got)) : std::string();
}

/// The holder as it wrote itself down; an empty object if it has not (yet) or the text is damaged.
nlohmann::json holder(int descriptor) {
  try {
    nlohmann::json document = parse_json(read_descriptor(descriptor), "LOCK");
    if (document.is_object()) return document;
  } catch (const Error&) {
    // The kernel's lock decides; the text only helps a person, and a torn one is replaced below.
  }
  return nlohmann::json::object();
}

std::string holder_text(const nlohmann::json& document) {
  if (!document.contains("pid")) return "another process";
  const auto field = [&](const char* name) { return document.contains(name) ? document.at(name).dump() : std::string("unknown"); };
  return "process " + field("pid") + " on host " + field("host") + " (launch " + field("launch") + ")";
}

}  // namespace

namespace {

/// A directory and the parents it lacks; each new name is on disk before anything is written below it.
void create_durably(const std::filesystem::path& directory) {
  std::error_code error;
  const std::filesystem::path whole = std::filesystem::absolute(directory, error).lexically_normal();
  std::vector<std::filesystem::path> parents;  // of names that do not exist yet, deepest first
  for (std::filesystem::path at = whole; !at.empty() && !std::filesystem::exists(at, error) && at != at.parent_path();
       at = at.parent_path())
    parents.push_back(at.parent_path());
  std::filesystem::create_directories(directory, error);
  if (error) throw FileError("create the run directory", directory, error.value());
  for (const std::filesystem::path& parent : parents) Disk().sync_directory(parent);
}

}  // namespace

RunLock::RunLock(const std::filesystem::path& run_directory) : run_directory_(run_directory) {
  create_durably(run_directory);
  const std::filesystem::path path = run_directory / "LOCK";
  descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666);
  if (descriptor_ < 0) throw FileError("open", path, errno);
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
    const int lock_error = errno;
    const std::string who = holder_text(holder(descriptor_));
    ::close(descriptor_);
    if (lock_error != EWOULDBLOCK) throw FileError("lock", path, lock_error);
    throw UsageError(run_directory.string() + ": " + who +
                     " is writing this run; wait until it ends, stop it, or set another run.directory");
  }
  const nlohmann::json before = holder(descriptor_);
  if (before.contains("launch") && before["launch"].is_number_unsigned()) launch_ = before["launch"].get<std::int64_t>() + 1;
  const std::string text = canonical_json({{"host", host_name()}, {"pid", ::getpid()}, {"boot_id", boot_id()}, {"launch", launch_}}) + "\n";
  if (::ftruncate(descriptor_, 0) != 0 || ::pwrite(descriptor_, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
    const int write_error = errno;
    ::close(descriptor_);
    throw FileError("write", path, write_error);
  }
}

RunLock::~RunLock() { ::close(descriptor_); }

}  // namespace longhaul::files
