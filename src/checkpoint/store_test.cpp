// What a commit is, which one is loaded, and which ones stay. Crashes are in store_crash_test.cpp, damage in store_damage_test.cpp.
#include "checkpoint/store.h"

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

#include <nlohmann/json.hpp>

#include "checkpoint/manifest.h"
#include "checkpoint/testing.h"
#include "files/read.h"
#include "files/testing.h"

namespace longhaul::checkpoint {
namespace {

using namespace files::testing;
using testing::hash_of_step;
using testing::identity;
using testing::snapshot;
using testing::State;
namespace fs = std::filesystem;

std::vector<std::string> names(const fs::path& run_directory) {
  std::vector<std::string> found;
  for (const Commit& commit : list_commits(run_directory)) found.push_back(commit.name());
  return found;
}
using Names = std::vector<std::string>;

class StoreTest : public ::testing::Test {
 protected:
  Store open(StoreOptions options = {}) { return Store(lock_, identity(), std::move(options)); }
  fs::path checkpoints() const { return dir_.path() / "checkpoints"; }

  TemporaryDirectory dir_;
  files::RunLock lock_{dir_.path()};
  State state_;
};

TEST_F(StoreTest, WhatWasSavedIsLoaded) {
  const Saved saved = open().commit(snapshot(state_, 1000));
  EXPECT_EQ(saved.commit.name(), "step-00001000.g0");
  EXPECT_EQ(saved.state_hash, hash_of_step(1000));
  State other(99);
  const std::optional<Loaded> loaded = open().load_newest(other.tensors());
  ASSERT_TRUE(loaded);
  EXPECT_EQ(other.hash(), hash_of_step(1000));
  EXPECT_EQ(loaded->state_hash, hash_of_step(1000));
  EXPECT_EQ(loaded->commit.step, 1000);
  EXPECT_EQ(loaded->tokens, 100'000);
  EXPECT_EQ(loaded->state, snapshot(state_, 1000).state);
  EXPECT_EQ(loaded->ledger, snapshot(state_, 1000).ledger);
  EXPECT_TRUE(loaded->messages.empty());
}

TEST_F(StoreTest, AFreshRunHasNothingToLoad) {
  EXPECT_EQ(open().load_newest(state_.tensors()), std::nullopt);
  open();
  EXPECT_TRUE(list_commits(dir_.path()).empty());
}

TEST_F(StoreTest, TheManifestHoldsWhatTheDocumentationSays) {
  const Saved saved = open().commit(snapshot(state_, 7));
  const nlohmann::json manifest = files::parse_json(slurp(saved.commit.directory / "manifest.json"), "manifest");
  EXPECT_EQ(manifest["format"], "longhaul-checkpoint");
  EXPECT_EQ(manifest["version"], 1);
  EXPECT_EQ(manifest["step"], 7);
  EXPECT_EQ(manifest["order"], "dp2");
  EXPECT_EQ(manifest["config_hash"], "c0ffee");
  EXPECT_EQ(manifest["state_hash"], saved.state_hash);
  ASSERT_EQ(manifest["files"].size(), 4u);
  for (const auto& file : manifest["files"]) {
    const files::FileDigest digest = files::digest_file(saved.commit.directory / file["name"].get<std::string>());
    EXPECT_EQ(file["sha256"], digest.sha256);
    EXPECT_EQ(file["bytes"], digest.bytes);
  }
  EXPECT_EQ(manifest["tensors"].size(), state_.tensors().size());
}

TEST_F(StoreTest, TheSameStateTwiceIsOneCommit) {
  Store store = open();
  store.commit(snapshot(state_, 5));
  const Saved again = store.commit(snapshot(state_, 5));
  EXPECT_TRUE(again.already_there);
  EXPECT_EQ(names(dir_.path()), Names{"step-00000005.g0"});
}

TEST_F(StoreTest, AfterARollBackTheNewLineageIsTheNewest) {
  Store store = open();
  store.commit(snapshot(state_, 10));
  store.commit(snapshot(state_, 20));
  Snapshot other = snapshot(state_, 10);
  other.state["skip"] = 200;  // what the roll-back decided
  EXPECT_EQ(store.commit(other).commit.name(), "step-00000010.g1");
  EXPECT_EQ(store.commit(snapshot(state_, 15)).commit.name(), "step-00000015.g1");
  // Three stay; until the new lineage has so many, the old one stays too.
  EXPECT_EQ(names(dir_.path()), (Names{"step-00000015.g1", "step-00000010.g1", "step-00000020.g0", "step-00000010.g0"}));
  EXPECT_EQ(store.load_newest(state_.tensors())->commit.step, 15);
  store.commit(snapshot(state_, 25));
  EXPECT_EQ(names(dir_.path()), (Names{"step-00000025.g1", "step-00000015.g1", "step-00000010.g1"}));
}

TEST_F(StoreTest, RetentionKeepsTheLastAndTheMultiples) {
  Store store = open({.retention = {.keep_last = 2, .keep_every = 30}});
  for (std::int64_t step = 10; step <= 80; step += 10) store.commit(snapshot(state_, step));
  EXPECT_EQ(names(dir_.path()), (Names{"step-00000080.g0", "step-00000070.g0", "step-00000060.g0", "step-00000030.g0"}));
  EXPECT_THROW(open({.retention = {.keep_last = 0}}), UsageError);
}

TEST_F(StoreTest, AfterGoingBackTheMultiplesAreOfTheNewHistory) {
  Store store = open({.retention = {.keep_last = 1, .keep_every = 30}});
  for (std::int64_t step = 10; step <= 60; step += 10) store.commit(snapshot(state_, step));
  ASSERT_EQ(names(dir_.path()), (Names{"step-00000060.g0", "step-00000030.g0"}));
  std::int64_t checked = 0;
  store.go_back(30, state_.tensors(), [&](const Loaded& loaded) { checked = loaded.commit.step; });
  EXPECT_EQ(checked, 30);
  EXPECT_EQ(names(dir_.path()), (Names{"step-00000030.g1", "step-00000060.g0", "step-00000030.g0"})) << "going back removes nothing";
  EXPECT_THROW(store.go_back(60, state_.tensors(), [](const Loaded&) { throw UsageError("no"); }), UsageError);
  EXPECT_EQ(names(dir_.path()).size(), 3u) << "nor does it publish what may not be gone back to";
  for (std::int64_t step = 40; step <= 70; step += 10) store.commit(snapshot(state_, step));
  EXPECT_EQ(names(dir_.path()), (Names{"step-00000070.g1", "step-00000060.g1", "step-00000030.g1"}));
}

TEST_F(StoreTest, RetentionKeepsTheFirstThatReachesAMultiple) {
  Store store = open({.retention = {.keep_last = 1, .keep_every = 25}});
  for (std::int64_t step = 10; step <= 80; step += 10) store.commit(snapshot(state_, step));
  EXPECT_EQ(names(dir_.path()), (Names{"step-00000080.g0", "step-00000050.g0", "step-00000030.g0"}));  // 75 is reached by 80
}

TEST_F(StoreTest, RetentionByTokens) {
  Store store = open({.retention = {.keep_last = 1, .keep_every = 600, .by_tokens = true}});
  for (std::int64_t step = 1; step <= 8; ++step) {
    Snapshot next = snapshot(state_, step);
    next.tokens = 250 * step;
    store.commit(next);
  }
  EXPECT_EQ(names(dir_.path()), (Names{"step-00000008.g0", "step-00000005.g0", "step-00000003.g0"}));  // 750, 1,250, and 2,000 as the last
}

TEST_F(StoreTest, RetentionCountsOnlyWhatVerifies) {
  Store store = open({.retention = {.keep_last = 2}});
  for (const int step : {1, 2, 3}) store.commit(snapshot(state_, step));
  ASSERT_EQ(names(dir_.path()), (Names{"step-00000003.g0", "step-00000002.g0"}));
  flip_bit(checkpoints() / "step-00000003.g0" / "moment2.safetensors", 500, 3);
  const Saved saved = store.commit(snapshot(state_, 4));
  // 3 is damaged: it does not count, so 2 must stay; nothing is removed.
  EXPECT_EQ(names(dir_.path()), (Names{"step-00000004.g0", "step-00000003.g0", "step-00000002.g0"}));
  ASSERT_EQ(saved.messages.size(), 1u);
  EXPECT_NE(saved.messages[0].find("step-00000003.g0 does not verify"), std::string::npos);
}

TEST_F(StoreTest, RetentionLeavesAloneWhatIsNotOurs) {
  Store store = open({.retention = {.keep_last = 1}});
  store.commit(snapshot(state_, 1));
  spill(checkpoints() / "step-00000001.g0" / "notes.txt", "the good one");
  fs::create_directory(checkpoints() / "step-00000001.backup");
  fs::create_directory(checkpoints() / "step-00000001.g0.tmp-mine");
  const Saved saved = store.commit(snapshot(state_, 2));
  EXPECT_EQ(names(dir_.path()), (Names{"step-00000002.g0", "step-00000001.g0"}));
  EXPECT_NE(saved.messages.at(0).find("notes.txt"), std::string::npos);
  open();
  EXPECT_TRUE(fs::exists(checkpoints() / "step-00000001.g0" / "weights.safetensors"));
  EXPECT_TRUE(fs::exists(checkpoints() / "step-00000001.backup"));
  EXPECT_TRUE(fs::exists(checkpoints() / "step-00000001.g0.tmp-mine"));
}

TEST_F(StoreTest, AnotherConfigurationIsRefusedKeyByKey) {
  open().commit(snapshot(state_, 3));
  RunIdentity other = identity();
  other.config_hash = "decade";
  other.config_text = "[model]\nlayers = 6\nwidth = 64\n[optimizer]\nbeta1 = 0.9\nbeta2 = 0.95\n";
  Store store(lock_, other);
  const std::string message = message_of<CheckpointError>([&] { store.load_newest(state_.tensors()); });
  EXPECT_NE(message.find("model.layers: checkpoint 4, run 6; optimizer.beta2: checkpoint (not set), run 0.95."), std::string::npos)
      << message;
  EXPECT_EQ(message.find("width"), std::string::npos);
  other = identity();
  other.order = "fma";
  const std::string order = message_of<CheckpointError>([&] { Store(lock_, other).load_newest(state_.tensors()); });
  EXPECT_NE(order.find("summation order 'dp2', the run asks for 'fma'"), std::string::npos) << order;
  EXPECT_EQ(names(dir_.path()), Names{"step-00000003.g0"});  // not quarantined: nothing is wrong with it
}

TEST_F(StoreTest, AnotherModelIsRefusedTensorByTensor) {
  open().commit(snapshot(state_, 3));
  const auto complaint = [&](State& state) { return message_of<CheckpointError>([&] { open().load_newest(state.tensors()); }); };
  State larger(0, 6);
  EXPECT_NE(complaint(larger).find("weights/model.embed_tokens.weight has shape [5, 8], the run needs [6, 8]"), std::string::npos);
  State fewer;
  fewer.registry().pop_back();
  EXPECT_NE(complaint(fewer).find("ema/model.norm.weight, which the run does not have"), std::string::npos);
  State renamed;
  renamed.registry()[0].name = "embed";
  EXPECT_NE(complaint(renamed).find("has no tensor weights/embed"), std::string::npos);
  State reordered;
  std::swap(reordered.registry()[0], reordered.registry()[1]);
  EXPECT_NE(complaint(reordered).find("another order"), std::string::npos);
}

TEST_F(StoreTest, GoingBackPublishesTheEarlierCommitAnewUnderItsOwnIdentity) {
  open().commit(snapshot(state_, 3));
  const RunIdentity other{"0ther", "[model]\nlayers = 4\nwidth = 64\n[optimizer]\nbeta1 = 0.8\n", "dp2"};
  Store store(lock_, other, {.accept = [](const RunIdentity&, const Commit&) {}});
  store.commit(snapshot(state_, 5));
  State mine(9);
  EXPECT_EQ(store.go_back(3, mine.tensors()).commit.name(), "step-00000003.g1");
  EXPECT_EQ(mine.hash(), hash_of_step(3));
  const Loaded newest = *store.load_newest(mine.tensors());
  EXPECT_EQ(newest.commit.name(), "step-00000003.g1");
  EXPECT_EQ(newest.identity.config_hash, identity().config_hash) << "what was set meanwhile is still a change";
  EXPECT_EQ(newest.state, snapshot(state_, 3).state);
  EXPECT_EQ(store.go_back(3, mine.tensors()).commit.name(), "step-00000003.g1") << "the newest already";
  EXPECT_EQ(store.commit(snapshot(state_, 4)).commit.name(), "step-00000004.g1");
}

TEST_F(StoreTest, ReadersNeedNoLockAndMayTakeOnlyTheWeights) {
  open().commit(snapshot(state_, 3));
  State all(1);
  const auto weights = all.tensors().first(3);
  EXPECT_EQ(read_newest(dir_.path(), weights).commit.step, 3);
  EXPECT_TRUE(std::ranges::equal(std::as_bytes(weights[0].data), std::as_bytes(state_.tensors()[0].data)));
  EXPECT_TRUE(read_newest(dir_.path(), weights).messages.empty());
  flip_bit(checkpoints() / "step-00000003.g0" / "weights.safetensors", 500, 0);
  EXPECT_THROW(read_newest(dir_.path(), weights), CheckpointError);
  EXPECT_TRUE(fs::exists(checkpoints() / "step-00000003.g0")) << "a reader changes nothing";
}

TEST_F(StoreTest, AReaderKeepsUpWithAWriterThatRemovesWhatItReads) {
  open().commit(snapshot(state_, 1));
  const pid_t writer = ::fork();
  if (writer == 0) {
    State state;
    Store store = open({.retention = {.keep_last = 1}});
    for (std::int64_t step = 2;; ++step) store.commit(snapshot(state, step));
  }
  State mine(9);
  std::int64_t seen = 0;
  for (int i = 0; i < 60; ++i) {
    std::int64_t step = seen;
    try {
      step = read_newest(dir_.path(), mine.tensors()).commit.step;
      EXPECT_EQ(mine.hash(), hash_of_step(step));
    } catch (const CheckpointError& error) {
      EXPECT_NE(std::string(error.what()).find("vanish faster"), std::string::npos) << error.what();
    }
    EXPECT_GE(step, seen);
    seen = step;
  }
  EXPECT_GT(seen, 1);
  ::kill(writer, SIGKILL);
  ::waitpid(writer, nullptr, 0);
}

TEST_F(StoreTest, ADiskThatFillsUpCostsOneSaveAndNoSpace) {
  const fs::path mounted = dir_.path() / "mnt";
  fs::create_directory(mounted);
  if (::mount("none", mounted.c_str(), "tmpfs", 0, "size=340k") != 0)
    GTEST_SKIP() << "mounting a tmpfs needs root: " << std::strerror(errno);
  struct Unmount {
    fs::path path;
    ~Unmount() { ::umount2(path.c_str(), MNT_DETACH); }
  } unmount{mounted};
  const auto free_blocks = [&] {
    struct statvfs status {};
    ::statvfs(mounted.c_str(), &status);
    return status.f_bfree;
  };
  const files::RunLock lock(mounted);
  Store store(lock, identity());
  State state(0, 600);  // ~29 KB a group, ~116 KB a commit: two fit, three do not
  store.commit(snapshot(state, 1));
  store.commit(snapshot(state, 2));
  const std::string second = state.hash();
  const auto free_before = free_blocks();
  std::string message;
  int reason = 0;
  try {
    store.commit(snapshot(state, 3));
  } catch (const SaveFailed& error) {
    message = error.what();
    reason = error.errno_value;
  }
  EXPECT_EQ(reason, ENOSPC);
  EXPECT_NE(message.find("checkpoint of step 3 not saved"), std::string::npos) << message;
  EXPECT_NE(message.find("the newest is step-00000002.g0"), std::string::npos) << message;
  EXPECT_EQ(free_blocks(), free_before) << "what was written of the failed save still takes space";
  EXPECT_EQ(store.load_newest(state.tensors())->commit.step, 2);
  EXPECT_EQ(state.hash(), second);
  fs::remove_all(mounted / "checkpoints" / "step-00000001.g0");
  EXPECT_EQ(store.commit(snapshot(state, 3)).commit.step, 3) << "space is back, the next save succeeds";
}

}  // namespace
}  // namespace longhaul::checkpoint
