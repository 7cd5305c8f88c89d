#include "data/prepare.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/loader.h"
#include "files/read.h"
#include "tokenizer/tokenizer.h"
#include "units/test_directory.h"

namespace longhaul::data {
namespace {

/// 200 documents of a little grammar, half as text files, half as lines.
void write_corpus(const TestDirectory& directory) {
  const std::vector<std::string> words = {"the", "ship", "sails", "over", "seven", "wide", "seas", "again", "Ünïcode"};
  std::string lines;
  for (unsigned d = 0; d < 200; ++d) {
    std::string text = "Document " + std::to_string(d) + ":";
    for (unsigned w = 0; w < 30 + d % 50; ++w) text += " " + words[(d * 7 + w * w) % words.size()];
    if (d % 2 == 0)
      directory.write("corpus/text/" + std::to_string(d) + ".txt", text + "\n");
    else
      lines += "{\"text\": \"" + text + "\"}\n";
  }
  directory.write("corpus/lines.jsonl", lines);
}

PrepareOptions options_of(const TestDirectory& directory, const std::string& out = "data") {
  PrepareOptions options;
  options.sources = {{"text", directory / "corpus/text"}, {"lines", directory / "corpus/lines.jsonl"}};
  options.directory = directory / out;
  options.vocab_size = 320;
  options.split.heldout_fraction = 0.2;
  options.shard_tokens = 2000;
  options.write_train_text = true;
  return options;
}

TEST(Prepare, EveryByteOfTextIsInOneSplitAndDecodesBack) {
  const TestDirectory directory;
  write_corpus(directory);
  const PrepareResult result = prepare_dataset(options_of(directory));
  EXPECT_FALSE(result.reused);
  const Dataset dataset = Dataset::open(directory / "data");
  EXPECT_EQ(dataset.manifest(), result.manifest);
  EXPECT_EQ(result.manifest.train.documents + result.manifest.heldout.documents, 200);
  EXPECT_GT(result.manifest.train_shards.size(), 2u);
  const tokenizer::Tokenizer tokenizer = tokenizer::Tokenizer::load(dataset.tokenizer_path());
  EXPECT_EQ(tokenizer.fingerprint(), result.manifest.tokenizer_fingerprint);
  EXPECT_NO_THROW(dataset.require_vocabulary(320, tokenizer.fingerprint()));
  for (const auto& [stream, name] : {std::pair{&dataset.train(), "train.txt"}, std::pair{&dataset.heldout(), "heldout.txt"}}) {
    std::string text;
    for (std::int64_t d = 0; d < stream->documents(); ++d) {
      const std::int64_t begin = stream->document_begin(d), end = stream->document_begin(d + 1);
      std::vector<std::int32_t> ids(static_cast<std::size_t>(end - begin));
      stream->read(begin, ids);
      EXPECT_EQ(ids[0], tokenizer.framing().begin);
      const std::string document = tokenizer.decode(std::span(ids).subspan(1));
      EXPECT_EQ(document.size(), stream->document_entry(d).text_bytes);
      EXPECT_EQ(is_heldout(document, "longhaul", 0.2), stream == &dataset.heldout());
      text += document;
    }
    EXPECT_EQ(text, TestDirectory::read(directory / ("data/" + std::string(name))));
    EXPECT_EQ(static_cast<std::int64_t>(text.size()), stream->text_bytes());
  }
}

TEST(Prepare, CountsAddUpOverSources) {
  const TestDirectory directory;
  write_corpus(directory);
  const Manifest manifest = prepare_dataset(options_of(directory)).manifest;
  Counts train, heldout;
  for (const SourceRecord& source : manifest.sources) {
    train += source.train;
    heldout += source.heldout;
    EXPECT_EQ(source.train.documents + source.heldout.documents, 100);
  }
  EXPECT_EQ(train, manifest.train);
  EXPECT_EQ(heldout, manifest.heldout);
  EXPECT_EQ(manifest.sources[0].files.size(), 100u);
  EXPECT_EQ(manifest.sources[0].file_count, 100);
  EXPECT_EQ(manifest.sources[1].files_hash,
            files::sha256_hex(files::digest_file(directory / "corpus/lines.jsonl").sha256 + "  lines.jsonl\n"));
}

TEST(Prepare, WhatWasSkippedIsCountedAndKept) {
  const TestDirectory directory;
  write_corpus(directory);
  directory.write("corpus/text/readme.md", "no text file");
  const std::string lines = TestDirectory::read(directory / "corpus/lines.jsonl");
  directory.write("corpus/lines.jsonl", lines + "{\"text\": null}\n{\"text\": \"\"}\n{\"text\": \"cut o");
  PrepareOptions options = options_of(directory);
  options.ingest.bad_rows = ingest::BadRows::skip;
  const Manifest manifest = prepare_dataset(options).manifest;
  EXPECT_EQ(manifest.sources[0].walk, (ingest::Account{101, 100, {{"unknown extension", 1, {"readme.md"}}}}));
  EXPECT_EQ(manifest.sources[1].rows,
            (ingest::Account{
                103, 100, {{"cut off", 1, {"lines.jsonl:103"}}, {"empty", 1, {"lines.jsonl:102"}}, {"null", 1, {"lines.jsonl:101"}}}}));
  const std::string rejected = TestDirectory::read(directory / "data/rejected.jsonl");
  EXPECT_TRUE(
      contains(rejected,
               "{\"source\":\"lines\",\"file\":\"lines.jsonl\",\"line\":101,\"byte\":" + std::to_string(lines.size()) +
                   ",\"reason\":\"null\",\"what\":\"the field \\\"text\\\" is null\",\"row_bytes\":14,\"row\":\"{\\\"text\\\": null}\"}\n"))
      << rejected;
  EXPECT_EQ(std::count(rejected.begin(), rejected.end(), '\n'), 2);
  EXPECT_EQ(Dataset::open(directory / "data").manifest(), manifest);
  directory.write("data/rejected.jsonl", rejected + "x");
  EXPECT_TRUE(contains(message_of<DataError>([&] { Dataset::open(directory / "data"); }), "rejected.jsonl"));
}

TEST(Prepare, ThreadsDoNotReachTheBytes) {
  const TestDirectory directory;
  write_corpus(directory);
  PrepareOptions one = options_of(directory, "one"), three = options_of(directory, "three");
  three.threads = 3;
  EXPECT_EQ(prepare_dataset(one).manifest, prepare_dataset(three).manifest);
}

TEST(Prepare, ASecondTimeReusesAndOtherOptionsAreRefused) {
  const TestDirectory directory;
  write_corpus(directory);
  const PrepareOptions options = options_of(directory);
  const Manifest first = prepare_dataset(options).manifest;
  const PrepareResult second = prepare_dataset(options);
  EXPECT_TRUE(second.reused);
  EXPECT_EQ(second.manifest, first);

  PrepareOptions salted = options;
  salted.split.salt = "other";
  EXPECT_TRUE(contains(message_of<UsageError>([&] { prepare_dataset(salted); }), "other options (by document hash, salt \"longhaul\""));
  directory.write("corpus/text/0.txt", "changed");
  EXPECT_TRUE(contains(message_of<UsageError>([&] { prepare_dataset(options); }), "made from other text"));
}

TEST(Prepare, ALoadedVocabularyGivesTheSameTokens) {
  const TestDirectory directory;
  write_corpus(directory);
  const Manifest trained = prepare_dataset(options_of(directory)).manifest;
  PrepareOptions options = options_of(directory, "again");
  options.vocab_size = 0;
  options.tokenizer_file = directory / "data/tokenizer.json";
  const Manifest loaded = prepare_dataset(options).manifest;
  EXPECT_EQ(loaded.content_hash, trained.content_hash);
  EXPECT_EQ(loaded.tokenizer_origin, "loaded");
}

TEST(Prepare, TheSaltMovesTheSplit) {
  const TestDirectory directory;
  write_corpus(directory);
  PrepareOptions other = options_of(directory, "other");
  other.split.salt = "pepper";
  prepare_dataset(options_of(directory));
  prepare_dataset(other);
  EXPECT_NE(TestDirectory::read(directory / "data/heldout.txt"), TestDirectory::read(directory / "other/heldout.txt"));
}

TEST(Prepare, RefusalsLeaveNothingBehind) {
  const TestDirectory directory;
  directory.write("hollow/a.txt", "");
  directory.write("bad/a.txt", "caf\xE9");
  directory.write("two/a.txt", "a document");
  directory.write("two/b.txt", "another document");
  const auto attempt = [&](const std::string& source, double fraction) {
    PrepareOptions options = options_of(directory);
    options.sources = {{"s", directory / source}};
    options.split.heldout_fraction = fraction;
    return message_of<DataError>([&] { prepare_dataset(options); });
  };
  EXPECT_TRUE(contains(attempt("hollow", 0.1), "hollow: nothing can be taken; 1 seen: 1 empty (a.txt)"));
  EXPECT_TRUE(contains(attempt("bad", 0.1), "a.txt: byte offset 3: invalid UTF-8"));
  EXPECT_TRUE(contains(attempt("two", 0.999999), "the hash holds out all 2 documents"));
  EXPECT_TRUE(contains(attempt("none", 0.1), "does not exist"));
  EXPECT_FALSE(std::filesystem::exists(directory / "data"));
  EXPECT_FALSE(std::filesystem::exists(directory / "data.partial"));
}

TEST(Prepare, ContradictionsAreUsageErrors) {
  const TestDirectory directory;
  write_corpus(directory);
  const auto refused = [&](const auto& change) {
    PrepareOptions options = options_of(directory);
    change(options);
    return message_of<UsageError>([&] { prepare_dataset(options); });
  };
  EXPECT_TRUE(contains(refused([](PrepareOptions& o) { o.vocab_size = 0; }), "--vocab-size"));
  EXPECT_TRUE(contains(refused([](PrepareOptions& o) { o.tokenizer_file = "x"; }), "not both"));
  EXPECT_TRUE(contains(refused([](PrepareOptions& o) { o.split.heldout_fraction = 1; }), "--heldout-fraction 1"));
  EXPECT_TRUE(contains(refused([](PrepareOptions& o) { o.sources[1].name = "text"; }), "two sources are named text"));
  EXPECT_TRUE(contains(refused([&](PrepareOptions& o) { o.directory = directory / "corpus"; }), "is no dataset"));
  EXPECT_TRUE(contains(refused([](PrepareOptions& o) { o.sources.clear(); }), "no source"));
}

TEST(Prepare, AKilledPreparationIsTidiedAndARunningOneIsLeftAlone) {
  const TestDirectory directory;
  write_corpus(directory);
  directory.write("data.partial/train/shard-00000.tokens", "half");
  const int other = ::open((directory / "data.partial").c_str(), O_RDONLY | O_DIRECTORY);
  ASSERT_EQ(::flock(other, LOCK_EX | LOCK_NB), 0);
  EXPECT_TRUE(contains(message_of<UsageError>([&] { prepare_dataset(options_of(directory)); }), "another process is preparing"));
  EXPECT_EQ(TestDirectory::read(directory / "data.partial/train/shard-00000.tokens"), "half");
  ::close(other);
  prepare_dataset(options_of(directory));
  EXPECT_NO_THROW(Dataset::open(directory / "data"));
  EXPECT_FALSE(std::filesystem::exists(directory / "data.partial"));
}

/// A preparation that is killed when the text is encoded: full shards are on disk, the last of each split is not.
class KilledPreparation : public ::testing::Test {
 protected:
  void SetUp() override {
    write_corpus(directory_);
    whole_ = prepare_dataset(options_of(directory_, "whole")).manifest;
  }
  void kill_one() {
    const auto kill_self = [](const PrepareProgress& at) {
      if (at.phase == "encoding") std::raise(SIGKILL);
    };
    const pid_t child = ::fork();
    if (child == 0) {
      prepare_dataset(options_of(directory_), kill_self);
      ::_exit(1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status));
    ASSERT_TRUE(std::filesystem::exists(directory_ / "data.partial/train/shard-00001.tokens"));
    ASSERT_FALSE(std::filesystem::exists(directory_ / "data"));
  }
  std::filesystem::path partial(const std::string& name) const { return directory_ / ("data.partial/" + name); }
  ino_t inode_of(const std::filesystem::path& path) const {
    struct stat status {};
    EXPECT_EQ(::stat(path.c_str(), &status), 0) << path;
    return status.st_ino;
  }
  /// Prepares again, with the bytes of the preparation that was never stopped. @return whether the phases had `phase`
  bool finish_with(const std::string& phase) {
    bool met = false;
    EXPECT_EQ(prepare_dataset(options_of(directory_), [&](const PrepareProgress& at) { met = met || at.phase == phase; }).manifest, whole_);
    EXPECT_EQ(Dataset::open(directory_ / "data").manifest(), whole_);
    EXPECT_FALSE(std::filesystem::exists(directory_ / "data/progress.jsonl"));
    EXPECT_EQ(TestDirectory::read(directory_ / "data/train.txt"), TestDirectory::read(directory_ / "whole/train.txt"));
    return met;
  }
  TestDirectory directory_;
  Manifest whole_;
};

TEST_F(KilledPreparation, GoesOnBehindItsFinishedShards) {
  kill_one();
  const ino_t first = inode_of(partial("train/shard-00000.tokens")), vocabulary = inode_of(partial("tokenizer.json"));
  EXPECT_FALSE(finish_with("training the vocabulary"));
  EXPECT_EQ(inode_of(directory_ / "data/train/shard-00000.tokens"), first);
  EXPECT_EQ(inode_of(directory_ / "data/tokenizer.json"), vocabulary);
}

TEST_F(KilledPreparation, IsRepeatedAsOftenAsItIsKilled) {
  for (int i = 0; i < 3; ++i) kill_one();
  EXPECT_FALSE(finish_with("training the vocabulary"));
}

TEST_F(KilledPreparation, TrustsOnlyWhatIsIntact) {
  kill_one();
  std::string shard = TestDirectory::read(partial("train/shard-00001.tokens"));
  shard[shard.size() / 2] = static_cast<char>(shard[shard.size() / 2] ^ 1);
  directory_.write("data.partial/train/shard-00001.tokens", shard);
  const std::string record = TestDirectory::read(partial("progress.jsonl"));
  directory_.write("data.partial/progress.jsonl", record + "{\"split\":\"train\",\"path\":\"train/shard-000");  // torn
  directory_.write("data.partial/train/shard-00009.tokens", "not in the record");
  const ino_t first = inode_of(partial("train/shard-00000.tokens"));
  finish_with("");
  EXPECT_EQ(inode_of(directory_ / "data/train/shard-00000.tokens"), first);
}

TEST_F(KilledPreparation, BeginsAnewForOtherTextAndOtherOptions) {
  kill_one();
  const std::string lines = TestDirectory::read(directory_ / "corpus/lines.jsonl");
  directory_.write("corpus/lines.jsonl", lines + "{\"text\": \"one more\"}\n");
  EXPECT_NE(prepare_dataset(options_of(directory_)).manifest.content_hash, whole_.content_hash);
  directory_.write("corpus/lines.jsonl", lines);
  std::filesystem::remove_all(directory_ / "data");
  kill_one();
  PrepareOptions other = options_of(directory_);
  other.vocab_size = 300;
  EXPECT_EQ(prepare_dataset(other).manifest.vocab_size, 300);
}

/// train.txt or heldout.txt.
std::string text_of(const TestDirectory& directory, const std::string& name) { return TestDirectory::read(directory / ("data/" + name)); }

TEST(Prepare, OneDocumentHoldsOutItsTail) {
  const TestDirectory directory;
  std::string text;
  for (int i = 0; i < 100; ++i) text += "line " + std::to_string(100 + i) + " of a single text.\n";
  directory.write("one/book.txt", text);
  directory.write("one/empty.txt", "");
  PrepareOptions options = options_of(directory);
  options.sources = {{"book", directory / "one"}};
  options.split.heldout_fraction.reset();
  const Manifest manifest = prepare_dataset(options).manifest;
  EXPECT_EQ(manifest.split, (Split{"longhaul", 0, 0.1, false}));
  EXPECT_EQ(manifest.train.documents, 1);
  EXPECT_EQ(manifest.heldout.documents, 1);
  EXPECT_EQ(text_of(directory, "train.txt") + text_of(directory, "heldout.txt"), text);
  EXPECT_EQ(text_of(directory, "heldout.txt").substr(0, 8), "line 190");
  EXPECT_TRUE(prepare_dataset(options).reused);
  // What is held out reaches no entry of the vocabulary.
  PrepareOptions head = options;
  head.sources = {{"book", directory.write("head/book.txt", text_of(directory, "train.txt"))}};
  head.split.heldout_fraction = 0;
  head.directory = directory / "head-data";
  EXPECT_EQ(prepare_dataset(head).manifest.tokenizer_fingerprint, manifest.tokenizer_fingerprint);
}

TEST(Prepare, ATailIsHeldOutOfEveryDocumentWhereAskedFor) {
  const TestDirectory directory;
  write_corpus(directory);
  PrepareOptions options = options_of(directory);
  options.split = {.heldout_tail = 0.25};
  const Manifest manifest = prepare_dataset(options).manifest;
  EXPECT_EQ(manifest.train.documents, 200);
  EXPECT_EQ(manifest.heldout.documents, 200);
  EXPECT_NEAR(static_cast<double>(manifest.heldout.bytes) / static_cast<double>(manifest.train.bytes + manifest.heldout.bytes), 0.25, 0.01);
}

TEST(Prepare, HeldOutSourcesAreTheUsersOwnSplit) {
  const TestDirectory directory;
  write_corpus(directory);
  directory.write("own/a.txt", "Nobody trains on this.");
  directory.write("own/b.txt", TestDirectory::read(directory / "corpus/text/8.txt"));
  PrepareOptions options = options_of(directory);
  options.split = {};
  options.heldout_sources = {{"own", directory / "own"}};
  const Manifest manifest = prepare_dataset(options).manifest;
  EXPECT_EQ(manifest.train.documents, 200);
  EXPECT_EQ(manifest.heldout.documents, 2);
  EXPECT_EQ(manifest.overlap_documents, 1);
  EXPECT_EQ(manifest.overlap_names, (std::vector<std::string>{(directory / "corpus/text/8.txt").string()}));
  ASSERT_EQ(manifest.sources.size(), 3u);
  EXPECT_TRUE(manifest.sources[2].heldout_source);
  EXPECT_EQ(manifest.sources[2].heldout, manifest.heldout);
  EXPECT_EQ(Dataset::open(options.directory).heldout().document_entry(1).source, 2u);
  EXPECT_TRUE(prepare_dataset(options).reused);
  PrepareOptions trained = options;  // the same files, of which none is held out
  trained.sources.push_back(options.heldout_sources[0]);
  trained.heldout_sources.clear();
  trained.split.heldout_fraction = 0;
  EXPECT_TRUE(contains(message_of<UsageError>([&] { prepare_dataset(trained); }), "source own is held out"));
}

TEST(Prepare, EvaluationOnlyHasNoTextToTrainOn) {
  const TestDirectory directory;
  write_corpus(directory);
  prepare_dataset(options_of(directory));
  PrepareOptions options = options_of(directory, "eval");
  options.sources = {{"test", directory.write("test.txt", "a single test document")}};
  options.split = {.eval_only = true};
  EXPECT_TRUE(contains(message_of<UsageError>([&] { prepare_dataset(options); }), "--tokenizer"));
  options.vocab_size = 0;
  options.tokenizer_file = directory / "data/tokenizer.json";
  const Manifest manifest = prepare_dataset(options).manifest;
  EXPECT_EQ(manifest.train, Counts{});
  EXPECT_EQ(manifest.heldout.documents, 1);
  const Dataset dataset = Dataset::open(directory / "eval");
  EXPECT_EQ(dataset.heldout().text_bytes(), 22);
  EXPECT_TRUE(contains(message_of<DataError>([&] { dataset.require_training_text(); }), "--eval-only"));
  EXPECT_NO_THROW(Dataset::open(directory / "data").require_training_text());
}

class DamagedDataset : public ::testing::Test {
 protected:
  void SetUp() override {
    write_corpus(directory_);
    prepare_dataset(options_of(directory_));
  }
  std::string damaged(const std::string& name, const std::string& contents) {
    const std::filesystem::path file = directory_ / ("data/" + name);
    const std::string good = TestDirectory::read(file);
    directory_.write("data/" + name, contents);
    const std::string message = message_of<DataError>([&] { Dataset::open(directory_ / "data"); });
    directory_.write("data/" + name, good);
    EXPECT_TRUE(contains(message, name)) << message;
    return message;
  }
  std::string file(const std::string& name) { return TestDirectory::read(directory_ / ("data/" + name)); }
  TestDirectory directory_;
};

TEST_F(DamagedDataset, IsNeverOpened) {
  const std::string shard = "train/shard-00001.tokens";
  std::string flipped = file(shard);
  flipped[flipped.size() / 2] = static_cast<char>(flipped[flipped.size() / 2] ^ 1);
  EXPECT_TRUE(contains(damaged(shard, flipped), "do not match their hash"));
  EXPECT_TRUE(contains(damaged(shard, file(shard).substr(0, 1000)), "truncated: 1000 bytes"));
  EXPECT_TRUE(contains(damaged(shard, file("train/shard-00000.tokens")), "belongs to another dataset"));
  damaged("heldout.txt", file("heldout.txt") + "x");
  damaged("tokenizer.json", "{}");
  damaged("dataset.json", file("dataset.json").substr(0, 500));
  std::filesystem::remove(directory_ / ("data/" + shard));
  EXPECT_TRUE(contains(message_of<DataError>([&] { Dataset::open(directory_ / "data"); }), shard));
}

TEST_F(DamagedDataset, IsNotReusedEither) {
  std::string flipped = file("train/shard-00000.tokens");
  flipped.back() = static_cast<char>(flipped.back() ^ 1);
  directory_.write("data/train/shard-00000.tokens", flipped);
  EXPECT_THROW(prepare_dataset(options_of(directory_)), DataError);
}

TEST_F(DamagedDataset, AnotherVocabularyIsNamed) {
  const Dataset dataset = Dataset::open(directory_ / "data");
  EXPECT_TRUE(contains(message_of<DataError>([&] { dataset.require_vocabulary(300); }), "320 entries, the model has 300"));
  EXPECT_TRUE(contains(message_of<DataError>([&] { dataset.require_vocabulary(320, "other"); }), "the run uses other"));
}

TEST_F(DamagedDataset, LoadsBatchesWhenWhole) {
  const Dataset dataset = Dataset::open(directory_ / "data", Verify::structure);
  Loader loader(dataset.train(), {5, 64, 4, {}, 2});
  EXPECT_GT(loader.next().target_tokens, 0);
}

}  // namespace
}  // namespace longhaul::data
