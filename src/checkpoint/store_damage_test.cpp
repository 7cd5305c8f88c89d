// Damage at rest: every byte of the manifest and of the headers, samples of the tensors, truncations, exchanged and missing files. All of
// it is seen, named, and answered with the next older commit (faults M-C8, M-C9).
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "checkpoint/commit_files.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/store.h"
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

const std::vector<std::string> kFiles = {"weights.safetensors", "moment1.safetensors", "moment2.safetensors", "ema.safetensors"};

class DamageTest : public ::testing::Test {
 protected:
  DamageTest() {
    Store store(lock_, identity());
    store.commit(snapshot(state_, 10));
    store.commit(snapshot(state_, 20));
  }
  fs::path newest() const { return dir_.path() / "checkpoints" / "step-00000020.g0"; }
  fs::path older() const { return dir_.path() / "checkpoints" / "step-00000010.g0"; }
  /// What verification says of the newest commit; empty if it finds nothing.
  std::string complaint() const {
    return message_of<CheckpointError>([&] {
      const Commit commit{20, 0, newest()};
      verify_contents(commit, read_manifest(commit), false);
    });
  }
  /// Expects a restart to use step 10, with one message that holds `reason`, and the damaged commit in quarantine.
  void expect_fallback(const std::string& reason) {
    State state(5);
    const std::optional<Loaded> loaded = Store(lock_, identity()).load_newest(state.tensors());
    ASSERT_TRUE(loaded);
    EXPECT_EQ(loaded->commit.step, 10);
    EXPECT_EQ(state.hash(), hash_of_step(10));
    ASSERT_EQ(loaded->messages.size(), 1u);
    EXPECT_NE(loaded->messages[0].find(reason), std::string::npos) << loaded->messages[0];
    EXPECT_NE(loaded->messages[0].find("moved to quarantine-step-00000020.g0"), std::string::npos) << loaded->messages[0];
    EXPECT_TRUE(fs::exists(dir_.path() / "checkpoints" / "quarantine-step-00000020.g0"));
  }

  TemporaryDirectory dir_;
  files::RunLock lock_{dir_.path()};
  State state_;
};

TEST_F(DamageTest, EveryBitOfTheManifestAndOfAHeader) {
  ASSERT_EQ(complaint(), "");
  const SafetensorsFile weights(newest() / "weights.safetensors");
  const std::size_t header_bytes = static_cast<std::size_t>(fs::file_size(newest() / "weights.safetensors")) - 4 * (12 * 5 + 7);
  for (const auto& [name, bytes] :
       {std::pair{std::string("manifest.json"), static_cast<std::size_t>(fs::file_size(newest() / "manifest.json"))},
        std::pair{std::string("weights.safetensors"), header_bytes}}) {
    const std::string good = slurp(newest() / name);
    for (std::size_t byte = 0; byte < bytes; ++byte) {
      // Every bit where the structure is (the header), one in turn where the text is long.
      for (int bit = name == "manifest.json" ? static_cast<int>(byte % 8) : 0; bit < 8; bit += name == "manifest.json" ? 8 : 1) {
        std::string bad = good;
        bad[byte] = static_cast<char>(bad[byte] ^ (1 << bit));
        spill(newest() / name, bad);
        EXPECT_NE(complaint().find(name), std::string::npos) << name << " byte " << byte << " bit " << bit << ": " << complaint();
      }
    }
    spill(newest() / name, good);
  }
  EXPECT_EQ(complaint(), "");
}

TEST_F(DamageTest, EveryByteOfTheTensors) {
  std::mt19937 random(3);
  for (const std::string& name : kFiles) {
    const std::string good = slurp(newest() / name);
    for (std::size_t byte = 0; byte < good.size(); ++byte) {
      std::string bad = good;
      bad[byte] = static_cast<char>(bad[byte] ^ (1 << (random() % 8)));
      spill(newest() / name, bad);
      EXPECT_NE(complaint().find(name), std::string::npos) << name << " byte " << byte;
    }
    spill(newest() / name, good);
  }
}

TEST_F(DamageTest, AFlippedBitIsNamedByFileAndTensor) {
  const std::size_t last = static_cast<std::size_t>(fs::file_size(newest() / "moment1.safetensors")) - 1;
  flip_bit(newest() / "moment1.safetensors", last, 6);
  expect_fallback("moment1.safetensors: damaged: tensor model.norm.weight does not have the values that were saved");
}

TEST_F(DamageTest, EveryTruncationAndJunkAtTheEnd) {
  for (const std::string name : {"ema.safetensors", "manifest.json"}) {
    const std::string good = slurp(newest() / name);
    for (std::size_t length = 0; length < good.size(); length += 7) {
      spill(newest() / name, good.substr(0, length));
      EXPECT_NE(complaint().find(name), std::string::npos) << name << " cut to " << length;
    }
    spill(newest() / name, good + "\n");
    EXPECT_NE(complaint().find(name), std::string::npos);
    spill(newest() / name, good);
  }
  fs::resize_file(newest() / "weights.safetensors", 100);
  expect_fallback("weights.safetensors: damaged: it has 100 bytes");
}

TEST_F(DamageTest, AZeroedPage) {
  std::string text = slurp(newest() / "manifest.json");
  spill(newest() / "manifest.json", std::string(text.size(), '\0'));  // what a lost page cache leaves of a file of the right length
  expect_fallback("manifest.json: not valid JSON");
}

TEST_F(DamageTest, ExchangedFiles) {
  fs::rename(newest() / "moment1.safetensors", newest() / "spare");
  fs::rename(newest() / "moment2.safetensors", newest() / "moment1.safetensors");
  fs::rename(newest() / "spare", newest() / "moment2.safetensors");
  expect_fallback("moment1.safetensors: damaged: tensor model.embed_tokens.weight");
}

TEST_F(DamageTest, AFileOfAnotherStep) {
  fs::copy_file(older() / "ema.safetensors", newest() / "ema.safetensors", fs::copy_options::overwrite_existing);
  expect_fallback("ema.safetensors: damaged: tensor model.embed_tokens.weight");
}

TEST_F(DamageTest, ADirectoryUnderAnotherName) {
  fs::remove_all(newest());
  fs::copy(older(), newest());
  expect_fallback("describes step-00000010.g0, not this directory");
}

TEST_F(DamageTest, AMissingFile) {
  fs::remove(newest() / "moment2.safetensors");
  expect_fallback("moment2.safetensors: cannot open: No such file");
}

TEST_F(DamageTest, AMissingManifest) {
  fs::remove(newest() / "manifest.json");
  expect_fallback("manifest.json: cannot open: No such file");
}

TEST_F(DamageTest, LinksInsteadOfFiles) {
  fs::rename(newest() / "weights.safetensors", dir_.path() / "elsewhere");
  fs::create_symlink(dir_.path() / "elsewhere", newest() / "weights.safetensors");
  expect_fallback("weights.safetensors: cannot open");
}

TEST_F(DamageTest, AManifestThatIsConsistentButLies) {
  // Someone edits a digest and recomputes the manifest's own hash: the files give it away.
  nlohmann::json manifest = files::parse_json(slurp(newest() / "manifest.json"), "m");
  manifest.erase("manifest_sha256");
  manifest["tensors"][1]["digest"] = std::string(32, 'a');
  manifest["manifest_sha256"] = files::sha256_hex(files::canonical_json(manifest));
  spill(newest() / "manifest.json", files::canonical_json(manifest) + "\n");
  expect_fallback("weights.safetensors: damaged: tensor model.layers.0.mlp.up_proj.weight");
}

TEST_F(DamageTest, ANewerVersionIsNotDamage) {
  nlohmann::json manifest = files::parse_json(slurp(newest() / "manifest.json"), "m");
  manifest.erase("manifest_sha256");
  manifest["version"] = 2;
  manifest["manifest_sha256"] = files::sha256_hex(files::canonical_json(manifest));
  spill(newest() / "manifest.json", files::canonical_json(manifest) + "\n");
  const std::string message = message_of<CheckpointError>([&] { Store(lock_, identity()).load_newest(state_.tensors()); });
  EXPECT_NE(message.find("has version 2, this program reads version 1"), std::string::npos) << message;
  EXPECT_TRUE(fs::exists(newest()));
}

TEST_F(DamageTest, WhenAllAreDamagedTheRunDoesNotStartOver) {
  for (const fs::path& commit : {newest(), older()}) flip_bit(commit / "weights.safetensors", 500, 1);
  for (int attempt = 0; attempt < 2; ++attempt) {  // the second finds only the quarantine
    const std::string message = message_of<CheckpointError>([&] { Store(lock_, identity()).load_newest(state_.tensors()); });
    EXPECT_NE(message.find("No usable checkpoint is left"), std::string::npos) << message;
    EXPECT_NE(message.find("(2 in quarantine)"), std::string::npos) << message;
  }
}

TEST_F(DamageTest, QuarantineNeverOverwrites) {
  flip_bit(newest() / "weights.safetensors", 500, 1);
  expect_fallback("weights.safetensors");
  Store store(lock_, identity());
  store.commit(snapshot(state_, 20));
  flip_bit(newest() / "weights.safetensors", 501, 1);
  EXPECT_EQ(store.load_newest(state_.tensors())->commit.step, 10);
  EXPECT_TRUE(fs::exists(dir_.path() / "checkpoints" / "quarantine-step-00000020.g0"));
  EXPECT_TRUE(fs::exists(dir_.path() / "checkpoints" / "quarantine-step-00000020.g0-2"));
}

}  // namespace
}  // namespace longhaul::checkpoint
