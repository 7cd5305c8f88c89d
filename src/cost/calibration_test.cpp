#include "cost/calibration.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "units/error.h"

namespace longhaul::cost {
namespace {

class CalibrationFile : public ::testing::Test {
 protected:
  CalibrationFile() : path_(::testing::TempDir() + "calibration_test.toml") {}
  ~CalibrationFile() override { std::filesystem::remove(path_); }
  Calibration read(const std::string& text) const {
    std::ofstream(path_) << text;
    return read_calibration(path_);
  }
  std::string error(const std::string& text) const {
    try {
      read(text);
    } catch (const UsageError& e) {
      return e.what();
    }
    return "no error";
  }
  std::filesystem::path path_;
};

std::string entry(const std::string& name, const std::string& fields) {
  return "[[parameter]]\nname = \"" + name + "\"\n" + fields + "\nunit = \"1\"\nmeaning = \"a test\"\n";
}

TEST_F(CalibrationFile, GivesTheMostSpecificValue) {
  const Calibration c =
      read(entry("x", "value = 1") + entry("x", "framework = \"f\"\nvalue = 2") + entry("x", "accelerator = \"a\"\nvalue = 3") +
           entry("x", "accelerator = \"a\"\nlink = \"l\"\nvalue = 4") + entry("xy", "value = 9"));
  EXPECT_EQ(c("x", {"other", "other", "other", "bf16"}), 1);
  EXPECT_EQ(c("x", {"other", "other", "f", "bf16"}), 2);
  EXPECT_EQ(c("x", {"a", "other", "other", "bf16"}), 3);
  EXPECT_EQ(c("x", {"a", "other", "f", "bf16"}), 2);  // of equally many fields the framework counts first
  EXPECT_EQ(c("x", {"a", "l", "f", "bf16"}), 4);
  EXPECT_FALSE(c.has("y", {}));
  EXPECT_THROW(c("y", {}), UsageError);
}

TEST_F(CalibrationFile, TakesAFrameworkWithAdditionsForItself) {
  const std::string plain = entry("x", "value = 1") + entry("x", "framework = \"torchtitan\"\nvalue = 2");
  EXPECT_EQ(read(plain)("x", {"a", "l", "torchtitan+compile", "bf16"}), 2);
  const Calibration own = read(plain + entry("x", "framework = \"torchtitan+compile\"\nvalue = 3"));
  EXPECT_EQ(own("x", {"a", "l", "torchtitan+compile", "bf16"}), 3);
  EXPECT_EQ(own("x", {"a", "l", "torchtitan", "bf16"}), 2);
}

TEST_F(CalibrationFile, SurvivesWritingAndReading) {
  Calibration c;
  c.source = "runs.csv \"quoted\"";
  c.seen_rows = {"a-1", "b-2"};
  c.parameters[{"memory.optimizer", {"*", "*", "nanotron", "*"}}] = {12.4, 12, 0.1, "B per parameter", "master and moments"};
  c.parameters[{"rate", {"h100", "node", "*", "bf16"}}] = {1e-5, 0, 0, "s", "a \\ constant"};
  c.time.push_back({"nanotron h100", 0.05, -0.1, 0.12, 885});
  c.memory.push_back({"calibrated", 0.026, -0.05, 0.06, 30});
  const Calibration again = read(to_toml(c));
  EXPECT_EQ(to_toml(again), to_toml(c));
  EXPECT_EQ(again.source, c.source);
  EXPECT_EQ(again.seen_rows, c.seen_rows);
  EXPECT_EQ(again("memory.optimizer", {"h100", "node", "nanotron", "bf16"}), 12.4);
  EXPECT_EQ(again.memory.at(0).rows, 30U);
}

TEST_F(CalibrationFile, ErrorsNameFileLineAndField) {
  const std::string at = path_.string() + ":";
  EXPECT_NE(error(entry("x", "value = \"much\"")).find(at + "3: parameter.value must be a number"), std::string::npos);
  EXPECT_NE(error(entry("x", "value = 1\nprioir = 2")).find(at + "4: parameter.prioir"), std::string::npos);
  EXPECT_NE(error("[[parameter]]\nname = \"x\"\nvalue = 1\n").find("parameter.unit must be a text"), std::string::npos);
  EXPECT_NE(error(entry("x", "value = -1\nprior = 1\nspread = 0.1")).find("parameter.value must be above 0"), std::string::npos);
  EXPECT_NE(error(entry("x", "value = 1") + entry("x", "value = 2")).find("has a value for this key already"), std::string::npos);
  EXPECT_NE(error("parameters = 1\n").find(at + "1: parameters is unknown"), std::string::npos);
  EXPECT_NE(error("seen_rows = [1]\n").find("seen_rows must be a list of row ids"), std::string::npos);
}

}  // namespace
}  // namespace longhaul::cost
