#include "machine/system_meter.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <ctime>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>

namespace longhaul::machine {

namespace fs = std::filesystem;

namespace {

std::string first_line(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

/// Thousandths of a degree, as sensors have them; nothing from a file that is missing or no number.
std::optional<double> degrees(const fs::path& path) {
  std::istringstream text(first_line(path));
  double thousandths = 0;
  if (!(text >> thousandths)) return std::nullopt;
  return thousandths / 1000;
}

std::optional<double> hotter(std::optional<double> a, std::optional<double> b) { return !a ? b : !b ? a : std::max(*a, *b); }

/// Calls read(entry) of each entry of a folder that may be missing.
template <class Read>
void for_entries(const fs::path& folder, const Read& read) {
  std::error_code missing;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, missing)) read(entry.path());
}

/// A field of /proc/self/io; 0 where the system does not show it.
std::int64_t written_bytes(const fs::path& path) {
  std::ifstream file(path);
  std::string name;
  std::int64_t value = 0;
  while (file >> name >> value)
    if (name == "write_bytes:") return value;
  return 0;
}

}  // namespace

SystemMeter::SystemMeter(fs::path directory, fs::path root) : directory_(std::move(directory)), root_(std::move(root)), last_(read()) {}

SystemMeter::Reading SystemMeter::read() const {
  Reading reading;
  reading.at = Clock::now();
  timespec used{};
  if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) == 0)
    reading.process_seconds = static_cast<double>(used.tv_sec) + 1e-9 * static_cast<double>(used.tv_nsec);
  // user nice system idle iowait irq softirq steal (proc(5)); the two after them are parts of user and nice.
  std::istringstream fields(first_line(root_ / "proc/stat"));
  std::string name;
  fields >> name;
  std::int64_t ticks = 0;
  for (int field = 0; field < 8 && fields >> ticks; ++field) {
    reading.all_ticks += ticks;
    if (field != 3 && field != 4) reading.busy_ticks += ticks;
  }
  return reading;
}

std::optional<SystemSample> SystemMeter::sample() {
  if (Clock::now() - last_.at < std::chrono::seconds(1)) return sample_;
  const Reading now = read();
  SystemSample sample;
  sample.process_processors = (now.process_seconds - last_.process_seconds) / std::chrono::duration<double>(now.at - last_.at).count();
  if (now.all_ticks > last_.all_ticks)
    sample.machine_busy = static_cast<double>(now.busy_ticks - last_.busy_ticks) / static_cast<double>(now.all_ticks - last_.all_ticks);
  struct statvfs disk {};
  if (::statvfs(directory_.c_str(), &disk) == 0) sample.disk_free_bytes = static_cast<std::int64_t>(disk.f_bavail * disk.f_frsize);
  sample.disk_written_bytes = written_bytes(root_ / "proc/self/io");
  sample.temperature_celsius = temperature(root_);
  last_ = now;
  return sample_ = sample;
}

std::optional<double> SystemMeter::temperature(const fs::path& root) {
  std::optional<double> processors, zones;
  for_entries(root / "sys/class/hwmon", [&](const fs::path& monitor) {
    const std::string name = first_line(monitor / "name");
    if (name != "coretemp" && name != "k10temp" && name != "zenpower") return;
    for_entries(monitor, [&](const fs::path& file) {
      const std::string sensor = file.filename().string();
      if (sensor.starts_with("temp") && sensor.ends_with("_input")) processors = hotter(processors, degrees(file));
    });
  });
  if (processors) return processors;
  for_entries(root / "sys/class/thermal", [&](const fs::path& zone) {
    if (zone.filename().string().starts_with("thermal_zone")) zones = hotter(zones, degrees(zone / "temp"));
  });
  return zones;
}

}  // namespace longhaul::machine
