#include "report/plan_document.h"

#include <gtest/gtest.h>

#include <fstream>

#include "units/error.h"

namespace longhaul::report {
namespace {

class PlanOfARun : public ::testing::Test {
 protected:
  PlanOfARun() : directory_(std::filesystem::path(::testing::TempDir()) / ::testing::UnitTest::GetInstance()->current_test_info()->name()) {
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directories(directory_);
  }
  ~PlanOfARun() override { std::filesystem::remove_all(directory_); }

  void write(const std::string& name, const std::string& text) const { std::ofstream(directory_ / name) << text; }
  PlanDocument newest() const { return newest_plan(directory_); }

  const std::string timed = R"({"step": {"seconds": 1.0, "rates": "measured yesterday"}})", unmeasured = R"({"steps": 3})";
  std::filesystem::path directory_;
};

TEST_F(PlanOfARun, OfSeveralTheNewestLaunchThatHasTimesIsTaken) {
  write("plan.json", timed), write("plan-2.json", timed), write("plan-10.json", timed), write("plan-11.json", unmeasured);
  EXPECT_EQ(newest().file, "plan-10.json");
  EXPECT_EQ(newest().basis(), "plan-10.json, time estimated from kernels measured yesterday");
}

TEST_F(PlanOfARun, WithoutTimesItIsPlanJsonAndSaysUnmeasured) {
  write("plan.json", unmeasured), write("plan-2.json", unmeasured);
  EXPECT_EQ(newest().file, "plan.json");
  EXPECT_EQ(newest().rates, std::nullopt);
  EXPECT_EQ(newest().basis(), "plan.json, unmeasured: it has no time");
}

TEST_F(PlanOfARun, OtherFilesAreNoPlans) {
  write("plan.json", timed);
  for (const char* name : {"plan-.json", "plan-x.json", "plan-3.json.tmp", "plan-99999999999999999999.json", "old-plan-7.json"})
    write(name, timed);
  EXPECT_EQ(newest().file, "plan.json");
}

TEST_F(PlanOfARun, AMissingOrDamagedPlanIsNamed) {
  EXPECT_THROW(newest(), Error);
  write("plan.json", "{");
  try {
    newest();
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("plan.json"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace longhaul::report
