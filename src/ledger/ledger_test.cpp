#include "ledger/ledger.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <chrono>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "files/disk.h"
#include "files/read.h"
#include "files/testing.h"
#include "ledger/testing.h"

namespace longhaul::ledger {
namespace {

using namespace files::testing;
namespace fs = std::filesystem;

/// The record of a step of an imaginary run; `launch` reaches the timing only.
Record record_of(std::int64_t step, std::int64_t launch = 1) {
  Record record;
  record.result.step = step;
  record.result.tokens = step * 1000;
  record.result.targets = 999;
  record.result.loss = 11.0 / static_cast<double>(step);
  record.result.grad_norm_before_clip = 1.0 / 3.0;
  record.result.grad_norm_after_clip = 0.1;
  record.result.learning_rate = 3e-4;
  record.result.data = {{"epoch", 0}, {"sample", step * 8}};
  if (step % 3 == 0) record.result.validation_loss = 2.5;
  if (step % 4 == 0) record.result.state_hash = "00ff";
  record.timing.time = utc_now();
  record.timing.launch = launch;
  record.timing.step_seconds = 0.25 * static_cast<double>(launch);
  record.timing.phase_seconds = {{"data", 0.05}, {"program", 0.2}};
  return record;
}

class LedgerTest : public ::testing::Test {
 protected:
  /// Appends steps from the cursor to `last`; returns the cursor after each step.
  std::vector<Cursor> run_to(std::int64_t last, const Cursor& from = {}) {
    const files::RunLock lock(dir_.path());
    Ledger ledger(lock, from);
    std::vector<Cursor> cursors;
    for (std::int64_t step = from.records + 1; step <= last; ++step) {
      Record record = record_of(step, lock.launch());
      ledger.append(record);
      cursors.push_back(ledger.cursor());
    }
    ledger.sync();
    return cursors;
  }
  fs::path metrics() const { return dir_.path() / "ledger" / "metrics.jsonl"; }
  fs::path events() const { return dir_.path() / "ledger" / "events.jsonl"; }
  /// The results alone, as bytes.
  static std::string results(const fs::path& path) {
    std::string all;
    for (const Record& record : read_metrics(path)) all += files::canonical_json(to_json(record.result)) + "\n";
    return all;
  }

  TemporaryDirectory dir_;
};

TEST_F(LedgerTest, RecordsComeBackExactly) {
  run_to(5);
  const std::vector<Record> records = read_metrics(metrics());
  ASSERT_EQ(records.size(), 5u);
  for (std::size_t i = 0; i < records.size(); ++i) {
    Record expected = record_of(static_cast<std::int64_t>(i) + 1);
    expected.result.prev = records[i].result.prev;
    expected.result.hash = records[i].result.hash;
    expected.timing.time = records[i].timing.time;
    EXPECT_EQ(to_json(records[i].result), to_json(expected.result));
    EXPECT_EQ(to_json(records[i].timing), to_json(expected.timing));
  }
  EXPECT_EQ(records[0].result.prev, kGenesis);
  EXPECT_FALSE(records[0].result.validation_loss);
  EXPECT_EQ(records[2].result.validation_loss, 2.5);
}

// Frozen: an auditor's own program must find the same hashes.
TEST_F(LedgerTest, TheHashIsSha256OfPrevNewlineAndCanonicalResult) {
  run_to(1);
  const Record record = read_metrics(metrics()).at(0);
  const std::string canonical =
      R"({"alarms":[],"data":{"epoch":0,"sample":8},"grad_norm_after_clip":0.1,"grad_norm_before_clip":0.3333333333333333,)"
      R"("learning_rate":3e-04,"loss":11.0,"step":1,"targets":999,"tokens":1000,"verdict":"applied"})";
  EXPECT_EQ(record.result.hash, files::sha256_hex(kGenesis + "\n" + canonical));
}

TEST_F(LedgerTest, ALossThatIsNotFiniteIsKept) {
  {
    const files::RunLock lock(dir_.path());
    Ledger ledger(lock);
    for (const double loss : {std::numeric_limits<double>::quiet_NaN(), -std::numeric_limits<double>::infinity()}) {
      Record record = record_of(ledger.cursor().records + 1);
      record.result.loss = loss;
      record.result.verdict = "skipped: the loss is not finite";
      ledger.append(record);
    }
  }
  const std::vector<Record> records = read_metrics(metrics());
  EXPECT_TRUE(std::isnan(records.at(0).result.loss));
  EXPECT_EQ(records.at(1).result.loss, -std::numeric_limits<double>::infinity());
  EXPECT_EQ(verify_chain(metrics()).problem, "");
}

TEST_F(LedgerTest, AResumeWritesTheRecordsOfARunThatNeverStopped) {
  const std::vector<Cursor> straight = run_to(12);
  const std::string expected = results(metrics());
  fs::remove_all(dir_.path() / "ledger");

  const Cursor at_save = run_to(9).at(5);  // saved at 6, stopped after 9
  EXPECT_EQ(at_save, straight.at(5));
  EXPECT_EQ(cursor_from_json(to_json(at_save)), at_save);
  const std::vector<Cursor> resumed = run_to(12, at_save);
  EXPECT_EQ(results(metrics()), expected);
  EXPECT_EQ(resumed.back(), straight.back());
  EXPECT_EQ(verify_chain(metrics()).records, 12);
  EXPECT_EQ(verify_chain(metrics()).head, straight.back().head);

  fs::path discarded;
  for (const auto& entry : fs::directory_iterator(dir_.path() / "ledger")) {
    if (entry.path().filename().string().starts_with("discarded-")) discarded = entry.path();
  }
  EXPECT_EQ(discarded.filename(), "discarded-3.jsonl");  // launches: straight, stopped, resumed
  const std::vector<Record> moved = read_metrics(discarded);
  ASSERT_EQ(moved.size(), 3u);
  EXPECT_EQ(moved.front().result.step, 7);
  EXPECT_EQ(read_events(events()).back()["kind"], "records_discarded");
  EXPECT_EQ(read_events(events()).back()["records"], 3);
}

TEST_F(LedgerTest, ResumingFromNothingMovesEverything) {
  run_to(3);
  run_to(2);
  EXPECT_EQ(read_metrics(metrics()).size(), 2u);
  EXPECT_EQ(read_metrics(dir_.path() / "ledger" / "discarded-2.jsonl").size(), 3u);
}

TEST_F(LedgerTest, ACrashBetweenMovingAndCuttingMovesOnce) {
  const Cursor at_save = run_to(5).at(2);
  const int code = run_child([&] {
    const files::RunLock lock(dir_.path());
    const files::Disk disk([](files::Operation operation, const fs::path&) {
      if (operation == files::Operation::truncate) ::_exit(9);
      return 0;
    });
    Ledger ledger(lock, at_save, disk);
    return 0;
  });
  ASSERT_EQ(code, 9);
  run_to(3, at_save);
  EXPECT_TRUE(fs::exists(dir_.path() / "ledger" / "discarded-2.jsonl"));
  EXPECT_FALSE(fs::exists(dir_.path() / "ledger" / "discarded-3.jsonl"));
}

TEST_F(LedgerTest, ATornLastLineIsMovedAwayWhereverItTears) {
  const Cursor last = run_to(4).back();
  const std::string whole = slurp(metrics());
  const std::string line = whole.substr(whole.rfind('\n', whole.size() - 2) + 1);
  for (std::size_t length = 1; length < line.size(); length += 5) {
    spill(metrics(), whole + line.substr(0, length));
    EXPECT_EQ(read_metrics(metrics()).size(), 4u);
    EXPECT_EQ(verify_chain(metrics()).records, 4);
    const files::RunLock lock(dir_.path());
    Ledger ledger(lock, last);
    EXPECT_EQ(ledger.discarded(), 0);
    EXPECT_EQ(slurp(metrics()), whole);
  }
  spill(events(), slurp(events()) + "{\"kind\":\"sav");
  EXPECT_EQ(run_to(4, last).size(), 0u);
  EXPECT_EQ(read_events(events()).back()["kind"], "torn_event");
  EXPECT_EQ(read_events(events()).back()["text"], "{\"kind\":\"sav");
}

TEST_F(LedgerTest, TheChainNamesTheFirstBadRecord) {
  run_to(6);
  const std::string good = slurp(metrics());
  const auto problem_with = [&](const std::string& text) {
    spill(metrics(), text);
    return verify_chain(metrics());
  };
  std::string changed = good;
  changed.replace(changed.find("\"tokens\":3000"), 13, "\"tokens\":3001");
  EXPECT_EQ(problem_with(changed).records, 2);
  EXPECT_NE(problem_with(changed).problem.find("metrics.jsonl:3: the record of step 3 does not have the hash it carries"),
            std::string::npos);

  const std::size_t second = good.find('\n') + 1, third = good.find('\n', second) + 1;
  EXPECT_NE(problem_with(good.substr(0, second) + good.substr(third)).problem.find(":2: the record of step 3 does not follow"),
            std::string::npos);
  EXPECT_NE(problem_with(good.substr(0, third) + good.substr(second)).problem.find(":3: the record of step 2 does not follow"),
            std::string::npos);
  EXPECT_NE(problem_with(good.substr(0, third) + "junk\n" + good.substr(third)).problem.find(":3"), std::string::npos);
  EXPECT_NE(message_of<DataError>([&] { read_metrics(metrics()); }).find(":3"), std::string::npos);
  // Timing may change: nothing hangs on it.
  std::string retimed = good;
  retimed.replace(retimed.find("\"tokens_per_second\":0.0"), 23, "\"tokens_per_second\":0.9");
  EXPECT_EQ(problem_with(retimed).problem, "");
}

TEST_F(LedgerTest, AnyChangedByteOfAResultIsSeen) {
  run_to(2);
  const std::string good = slurp(metrics());
  const std::size_t begin = good.find("{\"alarms\""), end = good.find("},\"timing\"");
  for (std::size_t byte = begin; byte < end; ++byte) {
    std::string bad = good;
    bad[byte] = static_cast<char>(bad[byte] ^ 1);
    spill(metrics(), bad);
    EXPECT_NE(verify_chain(metrics()).problem, "") << "byte " << byte << ": " << bad.substr(begin, end - begin);
  }
}

TEST_F(LedgerTest, TheLedgerOfAnotherRunIsRefused) {
  run_to(5);
  Cursor foreign;
  foreign.records = 3;
  foreign.head = std::string(64, 'a');
  const files::RunLock lock(dir_.path());
  const std::string message = message_of<DataError>([&] { Ledger ledger(lock, foreign); });
  EXPECT_NE(message.find("none with the hash aaaaaaaaaaaaaaaa…"), std::string::npos) << message;
  EXPECT_EQ(read_metrics(metrics()).size(), 5u);
}

TEST_F(LedgerTest, LostRecordsAreSaidAndTheChainGoesOn) {
  const Cursor at_save = run_to(6).back();
  fs::resize_file(metrics(), slurp(metrics()).find('\n') + 1);  // the machine lost power: one record reached the disk
  const Cursor after = run_to(7, at_save).back();
  EXPECT_EQ(after.records, 7);
  EXPECT_EQ(read_events(events()).back()["kind"], "records_missing");
  EXPECT_NE(verify_chain(metrics()).problem.find(":2: the record of step 7 does not follow"), std::string::npos);
  run_to(8, after);  // and a later resume finds its place by the hash
  EXPECT_EQ(read_metrics(metrics()).size(), 3u);
}

TEST_F(LedgerTest, AFullDiskDelaysRecordsAndLosesNone) {
  const auto full = std::make_shared<bool>(false);
  const files::Disk disk(
      [full](files::Operation operation, const fs::path&) { return *full && operation == files::Operation::write ? ENOSPC : 0; });
  const files::RunLock lock(dir_.path());
  Ledger ledger(lock, {}, disk);
  for (std::int64_t step = 1; step <= 9; ++step) {
    *full = step >= 4 && step <= 6;
    Record record = record_of(step);
    ledger.append(record);
    EXPECT_EQ(read_metrics(metrics()).size(), *full ? 3U : static_cast<std::size_t>(step)) << "none is written out of order";
    if (*full) {
      EXPECT_NE(message_of<files::FileError>([&] { ledger.sync(); }).find("No space left"), std::string::npos);
    }
  }
  EXPECT_EQ(verify_chain(metrics()).records, 9);
}

// kill -9 while logging: the file ends in at most one torn line and continues from its last whole record.
TEST_F(LedgerTest, KillAtRandomMoments) {
  auto* appended =
      static_cast<std::int64_t*>(::mmap(nullptr, sizeof(std::int64_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(appended, MAP_FAILED);
  std::mt19937 random(7);
  Cursor cursor;
  for (int round = 0; round < 30; ++round) {
    *appended = cursor.records;
    const pid_t child = ::fork();
    if (child == 0) {
      const files::RunLock lock(dir_.path());
      Ledger ledger(lock, cursor);
      for (;;) {
        Record record = record_of(ledger.cursor().records + 1, lock.launch());
        ledger.append(record);
        *appended = ledger.cursor().records;
      }
    }
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 3000));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    const ChainCheck check = verify_chain(metrics());
    ASSERT_EQ(check.problem, "") << "round " << round;
    ASSERT_GE(check.records, *appended);
    cursor = {check.records, check.head};
  }
  EXPECT_GT(cursor.records, 0);  // the kills did hit a working writer, however slow the machine
  const std::vector<Record> records = read_metrics(metrics());
  for (std::size_t i = 0; i < records.size(); ++i) ASSERT_EQ(records[i].result.step, static_cast<std::int64_t>(i) + 1);
  ::munmap(appended, sizeof(std::int64_t));
}

TEST_F(LedgerTest, EventsCarryTimeAndLaunch) {
  const files::RunLock lock(dir_.path());
  Ledger ledger(lock);
  ledger.event("save", {{"step", 10}, {"text", "odd \xff bytes"}});
  const nlohmann::json event = read_events(events()).at(0);
  EXPECT_EQ(event["kind"], "save");
  EXPECT_EQ(event["step"], 10);
  EXPECT_EQ(event["launch"], 1);
  EXPECT_EQ(event["time"].get<std::string>().size(), 24u);
  EXPECT_EQ(event["time"].get<std::string>().back(), 'Z');
}

TEST_F(LedgerTest, SettingsAreRecordsOfTheChainThatAreNoSteps) {
  const Change change{2, "guards.window", "100", "50", std::string(64, 'c')};
  const Branch branch{"/parent", 7, 700, "00ff", std::string(64, 'p'), std::string(64, 'h'), {change}, true};
  Cursor before;
  {
    const files::RunLock lock(dir_.path());
    Ledger ledger(lock);
    ledger.append(branch);
    for (std::int64_t step = 1; step <= 2; ++step) {
      Record record = record_of(step);
      ledger.append(record);
    }
    before = ledger.cursor();
    ledger.append(change);
  }
  EXPECT_EQ(verify_chain(metrics()).problem, "");
  EXPECT_EQ(verify_chain(metrics()).records, 4);
  EXPECT_EQ(read_metrics(metrics()).size(), 2u);
  EXPECT_EQ(read_last_metric(metrics())->result.step, 2);
  const Settings settings = read_settings(metrics());
  ASSERT_EQ(settings.changes.size(), 1u);
  EXPECT_EQ(to_json(settings.changes[0]), to_json(change));
  EXPECT_EQ(to_json(settings.branch.value()), to_json(branch));
  const files::RunLock lock(dir_.path());
  Ledger again(lock, before);  // a change that no checkpoint knows of is moved away with the steps after it
  EXPECT_EQ(again.discarded(), 1);
  EXPECT_TRUE(read_settings(metrics()).changes.empty());
}

TEST(Record, AMissingFieldIsNamed) {
  nlohmann::json document = {{"result", to_json(record_of(1).result)}, {"timing", to_json(record_of(1).timing)}};
  EXPECT_NO_THROW(record_from_json(document));
  document["result"]["future"] = 1;
  EXPECT_NO_THROW(record_from_json(document));
  document["result"].erase("loss");
  EXPECT_NE(message_of([&] { record_from_json(document); }).find("\"loss\" is missing"), std::string::npos);
  document["result"]["loss"] = "2";
  EXPECT_NE(message_of([&] { record_from_json(document); }).find("\"loss\" is wrong"), std::string::npos);
}

}  // namespace
}  // namespace longhaul::ledger
