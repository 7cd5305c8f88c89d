#include "data/manifest.h"

#include <gtest/gtest.h>

#include <string>

#include "units/test_directory.h"

namespace longhaul::data {
namespace {

Manifest example() {
  const std::string digest(64, 'a');
  Manifest manifest;
  manifest.longhaul_version = "0.1.0";
  manifest.recipe_hash = digest;
  manifest.content_hash = std::string(64, 'b');
  manifest.split = {"longhaul", 0, 0.05, false};
  manifest.overlap_documents = 1;
  manifest.overlap_names = {"corpus/ü.txt"};
  manifest.text_field = "text";
  manifest.invalid_utf8 = "stop";
  manifest.bad_rows = "skip";
  manifest.vocab_size = 8192;
  manifest.framing = {8191, 8191};
  manifest.tokenizer_file = "tokenizer.json";
  manifest.tokenizer_fingerprint = digest;
  manifest.tokenizer_origin = "trained";
  manifest.train = {3, 400, 103};
  manifest.heldout = {1, 100, 26};
  SourceRecord& source = manifest.sources.emplace_back();
  source.name = "bücher";
  source.path = "some/where";
  source.heldout_source = true;
  source.train = {3, 400, 103};
  source.heldout = {1, 100, 26};
  source.walk = {3, 1, {{"unknown extension", 2, {"b.md", "c.pdf"}}}};
  source.rows = {7, 4, {{"empty", 2, {"a.txt:9"}}, {"null", 1, {"a.txt:3"}}}};
  source.undivided = {{"a.txt", "</s>", 12}};
  source.empty_documents = 2;
  source.replaced_sequences = 1;
  source.file_count = 1;
  source.files_hash = digest;
  source.files = {{"a.txt", 500, digest}};
  manifest.train_shards = {{"train/shard-00000.tokens", {1, 150, 40}, 200, digest},
                           {"train/shard-00001.tokens", {2, 250, 63}, 300, digest}};
  manifest.heldout_shards = {{"heldout/shard-00000.tokens", {1, 100, 26}, 150, digest}};
  manifest.files = {{"tokenizer.json", 99, digest}};
  return manifest;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

std::string error_of(const std::string& text) {
  return message_of<DataError>([&] { Manifest::from_json(text, "dataset.json"); });
}

TEST(Manifest, ReadsBackWhatItWrites) {
  EXPECT_EQ(Manifest::from_json(example().to_json(), "dataset.json"), example());
  EXPECT_NEAR(example().bytes_per_token(), 500.0 / 129, 1e-12);
}

TEST(Manifest, ReadsWhatWasWrittenBeforeThereWereTailsAndHeldOutSources) {
  std::string text = example().to_json();
  for (const char* key : {"heldout_tail", "eval_only", "heldout_source"}) {
    const std::size_t begin = text.find("\"" + std::string(key));
    ASSERT_NE(begin, std::string::npos) << key;
    text.erase(begin, text.find(',', begin) + 1 - begin);
  }
  const std::size_t begin = text.find("\"overlap\"");
  text.erase(begin, text.find("},", begin) + 2 - begin);
  Manifest expected = example();
  expected.split.tail = 0;
  expected.sources[0].heldout_source = false;
  expected.overlap_documents = 0;
  expected.overlap_names.clear();
  EXPECT_EQ(Manifest::from_json(text, "dataset.json"), expected);
}

TEST(Manifest, FramesDocumentsByOneTokenByTwoOrByAnEndAlone) {
  for (const tokenizer::Framing framing : {tokenizer::Framing{8190, 8191}, tokenizer::Framing{tokenizer::Framing::kNone, 8191}}) {
    Manifest manifest = example();
    manifest.framing = framing;
    EXPECT_EQ(Manifest::from_json(manifest.to_json(), "dataset.json"), manifest);
  }
  EXPECT_FALSE(contains(example().to_json(), "\"begin\"")) << "datasets with one token keep the manifest that they had";
}

TEST(Manifest, AnAccountThatDoesNotAddUpIsRefused) {
  const std::string good = example().to_json();
  EXPECT_TRUE(
      contains(error_of(replaced(good, "\"seen\": 3", "\"seen\": 4")), "sources[0].walk.seen: must be taken and skipped together (3)"));
  EXPECT_TRUE(contains(error_of(replaced(good, "\"seen\": 7", "\"seen\": 6")), "sources[0].rows.seen: must be"));
}

TEST(Manifest, ADatasetWithoutAccountsIsRead) {
  std::string text = example().to_json();
  const std::size_t begin = text.find("      \"walk\""), end = text.find("      \"empty_documents\"");
  text.erase(begin, end - begin);
  const SourceRecord source = Manifest::from_json(text, "dataset.json").sources[0];
  EXPECT_EQ(source.walk, (ingest::Account{1, 1, {}}));
  EXPECT_EQ(source.rows, (ingest::Account{6, 4, {{"empty", 2, {}}}}));
}

TEST(Manifest, EveryTruncationIsRefused) {
  const std::string text = example().to_json();
  for (std::size_t size = 0; size + 2 < text.size(); ++size)
    ASSERT_THROW(Manifest::from_json(text.substr(0, size), "dataset.json"), DataError) << size;
}

TEST(Manifest, FaultsAreNamedByTheirField) {
  const std::string good = example().to_json();
  EXPECT_TRUE(contains(error_of(replaced(good, "\"version\": 1", "\"version\": 2")), "dataset.json.version: must be 1"));
  EXPECT_TRUE(contains(error_of(replaced(good, "\"vocab_size\": 8192", "\"vocab_size\": -1")), "tokenizer.vocab_size: must be a count"));
  EXPECT_TRUE(contains(error_of(replaced(good, "\"salt\"", "\"sugar\"")), "split.salt is missing"));
  EXPECT_TRUE(contains(error_of(replaced(good, "\"tokens\": 63", "\"tokens\": 62")), "train.counts: must be the sum of its shards"));
  EXPECT_TRUE(contains(error_of(replaced(good, "train/shard-00001", "../shard-00001")), "train.shards[1].path: must be a relative path"));
  EXPECT_TRUE(contains(error_of(replaced(good, "train/shard-00001", "/train/shard-1")), "train.shards[1].path: must be a relative path"));
  EXPECT_TRUE(contains(error_of("[]"), "not an object"));
}

TEST(Manifest, DeepNestingIsRefusedBeforeParsing) {
  EXPECT_TRUE(contains(error_of(std::string(1000000, '[')), "64"));
  EXPECT_TRUE(contains(error_of("{\"a\":\"" + std::string(100, '[') + "\"}"), "format is missing"))
      << "brackets in a string are no nesting";
}

TEST(Manifest, AMissingDatasetSaysHowToMakeIt) {
  const TestDirectory directory;
  EXPECT_TRUE(contains(message_of<DataError>([&] { Manifest::read(directory.path()); }), "longhaul data prepare --out"));
}

}  // namespace
}  // namespace longhaul::data
