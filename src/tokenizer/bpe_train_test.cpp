#include "tokenizer/bpe_train.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "tokenizer/bpe_tables.h"
#include "tokenizer/test_pieces.h"
#include "units/error.h"

namespace longhaul::tokenizer {
namespace {

DocumentStream stream_over(std::vector<std::string> documents) {
  return [documents = std::move(documents), next = std::size_t{0}](std::string& document) mutable {
    if (next == documents.size()) return false;
    document = documents[next++];
    return true;
  };
}

Tokenizer trained(std::vector<std::string> documents, int vocab_size, int threads = 1, Pattern pattern = Pattern::gpt2) {
  return train_bpe(stream_over(std::move(documents)),
                   {.vocab_size = vocab_size, .pattern = pattern, .threads = threads, .on_progress = {}});
}

std::vector<std::string> random_documents(std::uint64_t seed, int count) {
  std::mt19937_64 random(seed);
  std::vector<std::string> documents(static_cast<std::size_t>(count));
  for (std::string& document : documents) {
    for (int i = 0; i < 400; ++i) document += std::string("aaabbcd e  f1é")[random() % 15];
  }
  return documents;
}

using Word = std::vector<std::int32_t>;

// The rules of the header, written down as plainly as possible: recount everything before every merge.
std::vector<std::pair<int, int>> merges_by_recounting(const std::vector<std::string>& documents, int merges) {
  std::map<std::string, std::int64_t> pieces;
  for (const std::string& document : documents) {
    for (std::size_t begin = 0, end = 0; begin < document.size(); begin = end) {
      end = piece_end(Pattern::gpt2, document, begin);
      ++pieces[document.substr(begin, end - begin)];
    }
  }
  std::vector<std::pair<Word, std::int64_t>> words;
  for (const auto& [piece, count] : pieces) {
    Word word;
    for (const char byte : piece) word.push_back(static_cast<unsigned char>(byte));
    words.emplace_back(word, count);
  }
  std::vector<std::pair<int, int>> result;
  while (static_cast<int>(result.size()) < merges) {
    std::map<std::pair<int, int>, std::int64_t> counts;  // ascending (left, right): the first of the largest is the smallest pair
    for (const auto& [word, count] : words) {
      for (std::size_t i = 0; i + 1 < word.size(); ++i) counts[{word[i], word[i + 1]}] += count;
    }
    const auto best = std::max_element(counts.begin(), counts.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
    if (best == counts.end()) break;
    for (auto& [word, count] : words) {
      Word merged;
      for (std::size_t i = 0; i < word.size(); ++i) {
        const bool pair = i + 1 < word.size() && word[i] == best->first.first && word[i + 1] == best->first.second;
        merged.push_back(pair ? 256 + static_cast<int>(result.size()) : word[i]);
        i += pair;
      }
      word = merged;
    }
    result.push_back(best->first);
  }
  return result;
}

TEST(BpeTrain, MergesEqualRecountingEverything) {
  std::vector<std::string> documents = random_documents(3, 8);
  documents.resize(8);
  for (std::string& document : documents)
    document.erase(std::remove_if(document.begin(), document.end(), [](char c) { return c < 0; }), document.end());
  const Tokenizer tokenizer = trained(documents, 256 + 150 + 1);
  const std::vector<std::pair<int, int>> expected = merges_by_recounting(documents, 150);
  ASSERT_EQ(tokenizer.tables().merges().size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(std::pair(tokenizer.tables().merges()[i].left, tokenizer.tables().merges()[i].right), expected[i]) << "merge " << i;
  }
}

TEST(BpeTrain, TiesGoToTheSmallestPair) {
  const Tokenizer tokenizer = trained({"zx", "ba", "az"}, 256 + 3 + 1);  // each pair once: (a,z), (b,a), (z,x)
  const auto merges = tokenizer.tables().merges();
  ASSERT_EQ(merges.size(), 3u);
  EXPECT_EQ(tokenizer.token_bytes(merges[0].merged), "az");
  EXPECT_EQ(tokenizer.token_bytes(merges[1].merged), "ba");
  EXPECT_EQ(tokenizer.token_bytes(merges[2].merged), "zx");
}

TEST(BpeTrain, IdsAreBytesThenMergesThenEndoftext) {
  const Tokenizer tokenizer = trained({"low lower lowest"}, 256 + 4 + 1);
  for (int byte = 0; byte < 256; ++byte) EXPECT_EQ(tokenizer.token_bytes(byte), std::string(1, static_cast<char>(byte)));
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(tokenizer.tables().merges()[i].merged, 256 + static_cast<int>(i));
  EXPECT_EQ(tokenizer.framing().end, 260);
  EXPECT_EQ(tokenizer.vocab_size(), 261);
}

TEST(BpeTrain, ThreadsAndOrderOfDocumentsDoNotReachTheResult) {
  std::vector<std::string> documents = random_documents(7, 2000);  // 800 kB: several batches
  const std::string alone = trained(documents, 900).to_json();
  for (const int threads : {2, 3, 8}) EXPECT_EQ(trained(documents, 900, threads).to_json(), alone) << threads << " threads";
  std::reverse(documents.begin(), documents.end());
  EXPECT_EQ(trained(documents, 900, 2).to_json(), alone);
}

TEST(BpeTrain, PiecesAreNeverMergedAcross) {
  const Tokenizer tokenizer = trained({"ab ab ab ab", "ab"}, 300);
  for (std::int32_t id = 0; id < tokenizer.vocab_size(); ++id) {
    EXPECT_EQ(tokenizer.token_bytes(id).find(' ', 1), std::string_view::npos) << tokenizer.token_bytes(id);
  }
}

TEST(BpeTrain, EndsEarlyWhenNoPairIsLeft) {
  const Tokenizer tokenizer = trained({"abab"}, 1000);
  EXPECT_EQ(tokenizer.tables().merges().size(), 2u);  // ab, abab
  EXPECT_EQ(tokenizer.vocab_size(), 259);
}

TEST(BpeTrain, LongRunsOfOneLetter) {
  const Tokenizer tokenizer = trained({std::string(100'000, 'a') + " " + std::string(77, 'a')}, 280);
  const std::string text(1000, 'a');
  EXPECT_EQ(tokenizer.decode(tokenizer.encode_ordinary(text)), text);
}

TEST(BpeTrain, ImpossibleRequestsAreRefused) {
  EXPECT_THROW(trained({"abc"}, 256), UsageError);
  EXPECT_THROW(trained({"abc"}, (1 << 24) + 1), UsageError);
  EXPECT_THROW(trained({}, 300), DataError);
  EXPECT_THROW(trained({"", ""}, 300), DataError);
}

TEST(BpeTrain, AnErrorOfTheStreamReachesTheCaller) {
  const DocumentStream broken = [](std::string&) -> bool { throw DataError("corpus.jsonl:7: not JSON"); };
  EXPECT_THROW(train_bpe(broken, {.vocab_size = 300, .pattern = Pattern::gpt2, .threads = 3, .on_progress = {}}), DataError);
}

TEST(BpeTrain, ProgressIsReported) {
  int calls = 0;
  BpeTrainOptions options{.vocab_size = 300, .pattern = Pattern::gpt2, .threads = 1, .on_progress = [&](const TrainProgress& now) {
                            EXPECT_EQ(now.entries_goal, 300);
                            ++calls;
                          }};
  train_bpe(stream_over({"some text"}), options);
  EXPECT_GE(calls, 1);
}

}  // namespace
}  // namespace longhaul::tokenizer
