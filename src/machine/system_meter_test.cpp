#include "machine/system_meter.h"

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "files/testing.h"

namespace longhaul::machine {
namespace {

namespace fs = std::filesystem;

void write(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path) << text;
}

TEST(SystemMeter, MeasuresThisMachine) {
  SystemMeter meter(".");
  EXPECT_FALSE(meter.sample()) << "nothing in the first second";
  const auto begin = std::chrono::steady_clock::now();
  volatile double sum = 0;
  while (std::chrono::steady_clock::now() - begin < std::chrono::milliseconds(1050)) sum = sum + 1;
  const auto sample = meter.sample();
  ASSERT_TRUE(sample);
  EXPECT_GT(sample->process_processors, 0.05) << "this thread was busy, as far as it had a processor";
  EXPECT_GT(sample->machine_busy, 0.0);
  EXPECT_LE(sample->machine_busy, 1.0);
  EXPECT_GT(sample->disk_free_bytes, 0);
  EXPECT_EQ(meter.sample()->process_processors, sample->process_processors) << "read again only after a second";
}

TEST(SystemMeter, TakesTheHottestSensorOfAProcessorElseOfAnyZone) {
  const files::testing::TemporaryDirectory directory;
  const fs::path root = directory.path();
  EXPECT_FALSE(SystemMeter::temperature(root));
  write(root / "sys/class/thermal/thermal_zone0/temp", "41000\n");
  write(root / "sys/class/thermal/thermal_zone1/temp", "nothing\n");
  write(root / "sys/class/thermal/cooling_device0/temp", "99000\n");
  EXPECT_EQ(SystemMeter::temperature(root), 41.0);
  write(root / "sys/class/hwmon/hwmon0/name", "nvme\n");
  write(root / "sys/class/hwmon/hwmon0/temp1_input", "80000\n");
  EXPECT_EQ(SystemMeter::temperature(root), 41.0) << "a disk is no processor";
  write(root / "sys/class/hwmon/hwmon1/name", "k10temp\n");
  write(root / "sys/class/hwmon/hwmon1/temp1_input", "55250\n");
  write(root / "sys/class/hwmon/hwmon1/temp2_input", "61500\n");
  EXPECT_EQ(SystemMeter::temperature(root), 61.5);
}

}  // namespace
}  // namespace longhaul::machine
