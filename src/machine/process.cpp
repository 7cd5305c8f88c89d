#include "machine/process.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <fstream>
#include <iterator>
#include <sstream>

namespace longhaul::machine {
namespace {

/// A field of a status document; 0 where it has none of that name. The kernel prints KiB.
Bytes field_of(const std::string& status, const std::string& field) {
  const std::size_t at = status.find("\n" + field);
  return at == std::string::npos ? Bytes(0) : Bytes(std::stoll(status.substr(at + 1 + field.size())) * 1024);
}

std::string text_of(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

std::string processor_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);)
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  return "unknown x86-64";
}

std::string host_name() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

int usable_processors() {
  cpu_set_t usable;
  return sched_getaffinity(0, sizeof usable, &usable) == 0 ? std::max(1, CPU_COUNT(&usable)) : 1;
}

Resident resident() {
  const std::string status = text_of("/proc/self/status");
  return {field_of(status, "VmRSS:"), field_of(status, "RssAnon:")};
}

Bytes resident_peak() { return field_of(text_of("/proc/self/status"), "VmHWM:"); }

Seconds process_age() {
  // Field 22 of /proc/self/stat (proc(5)) is the start in ticks since boot; the name, field 2, is in brackets and may hold anything.
  const std::string stat = text_of("/proc/self/stat");
  std::istringstream fields(stat.substr(std::min(stat.size(), stat.rfind(')') + 1)));
  std::string skipped;
  for (int field = 3; field < 22; ++field) fields >> skipped;
  double ticks = 0;
  timespec now{};
  if (!(fields >> ticks) || clock_gettime(CLOCK_BOOTTIME, &now) != 0) return Seconds(0);
  return Seconds(static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec) -
                 ticks / static_cast<double>(sysconf(_SC_CLK_TCK)));
}

}  // namespace longhaul::machine
