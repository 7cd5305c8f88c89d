#include "data/evaluation_text.h"

#include <gtest/gtest.h>

#include <numeric>
#include <string>
#include <vector>

#include "data/heldout.h"
#include "data/prepare.h"
#include "units/test_directory.h"

namespace longhaul::data {
namespace {

/// A corpus of two .txt and one .jsonl of three lines (one empty), and a tokenizer trained on it.
struct Corpus {
  Corpus() {
    directory.write("corpus/a.txt", "The ship sails over seven wide seas, again and again.\n");
    directory.write("corpus/deep/b.txt", "Ünïcode: 鯨と海 🐋\n");
    directory.write("corpus/lines.jsonl", "{\"text\": \"one line\"}\n{\"text\": \"\"}\n{\"text\": \"another\\nline\"}\n");
    PrepareOptions options;
    options.sources = {{"all", directory / "corpus"}};
    options.directory = directory / "data";
    options.vocab_size = 270;
    options.split.heldout_fraction = 0.5;
    prepare_dataset(options);
  }
  EvaluationText read(const std::vector<std::string>& names, int threads = 1) const {
    std::vector<std::filesystem::path> paths;
    for (const std::string& name : names) paths.push_back(directory / name);
    const tokenizer::Tokenizer tokenizer = tokenizer::Tokenizer::load(directory / "data/tokenizer.json");
    return text_of_files(paths, {}, tokenizer, tokenizer.framing(), threads);
  }
  TestDirectory directory;
};

TEST(EvaluationText, HasTheDocumentsOfFilesWithNamesBytesAndWords) {
  const Corpus corpus;
  const EvaluationText text = corpus.read({"corpus"}, 3);
  const std::string folder = (corpus.directory / "corpus").string();
  EXPECT_EQ(text.names,
            (std::vector<std::string>{folder + "/a.txt", folder + "/deep/b.txt", folder + "/lines.jsonl:1", folder + "/lines.jsonl:3"}));
  EXPECT_EQ(text.words, (std::vector<std::int64_t>{10, 3, 2, 2}));
  EXPECT_EQ(text.total_words(), 17);
  EXPECT_EQ(text.tokens.documents(), 4);
  EXPECT_EQ(text.tokens.document_entry(2).text_bytes, 8u);
  EXPECT_EQ(text.tokens.text_bytes(), 54 + 26 + 8 + 12);
}

TEST(EvaluationText, OfFilesIsEncodedAndFramedAsTheDatasetIs) {
  const Corpus corpus;
  const Dataset dataset = Dataset::open(corpus.directory / "data");
  const EvaluationText heldout = heldout_text(dataset);
  // The held-out documents as files of their own, in the same order.
  const std::string all = TestDirectory::read(corpus.directory / "data/heldout.txt");
  std::size_t begin = 0;
  std::vector<std::string> names;
  for (std::int64_t d = 0; d < heldout.tokens.documents(); ++d) {
    const std::size_t bytes = heldout.tokens.document_entry(d).text_bytes;
    names.push_back("again/" + std::to_string(d) + ".txt");
    corpus.directory.write(names.back(), all.substr(begin, bytes));
    begin += bytes;
  }
  const EvaluationText files = corpus.read(names);
  EXPECT_EQ(files.words, heldout.words);
  ASSERT_EQ(files.tokens.tokens(), heldout.tokens.tokens());
  for (std::int64_t d = 0; d < heldout.tokens.documents(); ++d) EXPECT_EQ(files.tokens.document_begin(d), heldout.tokens.document_begin(d));
  std::vector<std::int32_t> ours(static_cast<std::size_t>(files.tokens.tokens())), theirs(ours.size());
  files.tokens.read(0, ours);
  heldout.tokens.read(0, theirs);
  EXPECT_EQ(ours, theirs);
  for (const std::string& name : heldout.names) EXPECT_EQ(name, "all");
}

TEST(EvaluationText, SaysWhatItLeavesOut) {
  const Corpus corpus;
  corpus.directory.write("corpus/readme.md", "not text");
  const EvaluationText text = corpus.read({"corpus"});
  ASSERT_EQ(text.notes.size(), 2u);
  EXPECT_EQ(text.notes[0], "files of " + (corpus.directory / "corpus").string() + ": 1 of 4 left out: 1 unknown extension (readme.md)");
  EXPECT_TRUE(contains(text.notes[1], "rows: 1 of 5 left out: 1 empty (")) << text.notes[1];
  EXPECT_TRUE(corpus.read({"corpus/a.txt"}).notes.empty());
}

TEST(EvaluationText, RefusesFilesWithoutTextAndADatasetWithoutHeldOutText) {
  const Corpus corpus;
  corpus.directory.write("empty.jsonl", "{\"text\": \"\"}\n");
  EXPECT_TRUE(contains(message_of<DataError>([&] { corpus.read({"empty.jsonl"}); }), "empty.jsonl: no document with text"));
  EXPECT_TRUE(contains(message_of<DataError>([&] { corpus.read({"missing.txt"}); }), "missing.txt does not exist"));
  PrepareOptions options;
  options.sources = {{"all", corpus.directory / "corpus"}};
  options.directory = corpus.directory / "all-train";
  options.vocab_size = 270;
  options.split.heldout_fraction = 0;
  prepare_dataset(options);
  EXPECT_TRUE(contains(message_of<DataError>([&] { heldout_text(Dataset::open(options.directory)); }), "nothing is held out"));
}

TEST(EvaluationText, AHeldoutTextThatIsNotTheSplitsIsRefused) {
  const Corpus corpus;
  const Dataset dataset = Dataset::open(corpus.directory / "data");
  std::string all = TestDirectory::read(corpus.directory / "data/heldout.txt");
  all[0] = '\xFF';
  corpus.directory.write("data/heldout.txt", all);
  EXPECT_TRUE(contains(message_of<DataError>([&] { heldout_text(dataset); }), "not UTF-8"));
  corpus.directory.write("data/heldout.txt", all.substr(1));
  EXPECT_TRUE(contains(message_of<DataError>([&] { heldout_text(dataset); }), "heldout.txt"));
}

}  // namespace
}  // namespace longhaul::data
