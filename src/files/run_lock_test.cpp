#include "files/run_lock.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "files/read.h"
#include "files/testing.h"

namespace longhaul::files {
namespace {

using namespace testing;

TEST(RunLock, CreatesTheRunAndCountsLaunches) {
  const TemporaryDirectory dir;
  const auto run = dir.path() / "deep" / "run";
  { EXPECT_EQ(RunLock(run).launch(), 1); }
  { EXPECT_EQ(RunLock(run).launch(), 2); }
  const nlohmann::json holder = parse_json(slurp(run / "LOCK"), "LOCK");
  EXPECT_EQ(holder["pid"], ::getpid());
  EXPECT_TRUE(holder.contains("host"));
  EXPECT_TRUE(holder.contains("boot_id"));
}

TEST(RunLock, ASecondWriterIsRefusedAndToldWho) {
  const TemporaryDirectory dir;
  const RunLock lock(dir.path());
  const std::string message = message_of<UsageError>([&] { RunLock second(dir.path()); });
  EXPECT_NE(message.find("process " + std::to_string(::getpid())), std::string::npos) << message;
  EXPECT_NE(message.find("run.directory"), std::string::npos) << message;
  EXPECT_EQ(lock.launch(), 1);
}

TEST(RunLock, DiesWithItsHolder) {
  const TemporaryDirectory dir;
  const int code = run_child([&]() -> int {
    const RunLock lock(dir.path());
    ::kill(::getpid(), SIGKILL);
    return 0;
  });
  ASSERT_EQ(code, 128 + SIGKILL);
  EXPECT_EQ(RunLock(dir.path()).launch(), 2);
}

TEST(RunLock, ADamagedTextIsReplaced) {
  const TemporaryDirectory dir;
  spill(dir.path() / "LOCK", "{\"pid\": 12, \"host");
  EXPECT_EQ(RunLock(dir.path()).launch(), 1);
  EXPECT_TRUE(parse_json(slurp(dir.path() / "LOCK"), "LOCK").contains("pid"));
}

}  // namespace
}  // namespace longhaul::files
