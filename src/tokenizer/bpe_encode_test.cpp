#include "tokenizer/bpe_encode.h"

#include <gtest/gtest.h>

#include <chrono>
#include <random>

#include "tokenizer/bpe_train.h"
#include "units/utf8.h"

namespace longhaul::tokenizer {
namespace {

using Ids = std::vector<std::int32_t>;

std::string random_text(std::mt19937_64& random, std::string_view alphabet, std::size_t length) {
  std::string text;
  for (std::size_t i = 0; i < length; ++i) text += alphabet[random() % alphabet.size()];
  return text;
}

Tokenizer small_vocabulary() {
  static const Tokenizer tokenizer = [] {
    std::mt19937_64 random(5);
    int documents = 200;
    return train_bpe(
        [&](std::string& text) {
          text = random_text(random, "aaaabbc de", 300);
          return documents-- > 0;
        },
        {.vocab_size = 700, .pattern = Pattern::gpt2, .threads = 1, .on_progress = {}});
  }();
  return tokenizer;
}

// The same tokens with tiktoken's rule: any two that make a token merge, rank = id.
Tokenizer ranked_vocabulary() {
  const Tokenizer trained = small_vocabulary();
  TokenizerParts parts;
  for (std::int32_t id = 0; id < trained.framing().end; ++id) parts.tokens.emplace_back(trained.token_bytes(id));
  parts.merge_by_rank = parts.whole_piece_first = true;
  parts.origin = "test";
  return Tokenizer(parts);
}

// tiktoken's _byte_pair_merge, word for word in bytes: the rank of two parts is that of their concatenation.
Ids merged_by_bytes(const BpeTables& tables, std::string_view piece) {
  std::vector<std::string> parts;
  for (const char byte : piece) parts.emplace_back(1, byte);
  for (;;) {
    std::int32_t best_rank = INT32_MAX;
    std::size_t best = 0;
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
      const std::int32_t rank = tables.find(parts[i] + parts[i + 1]);
      if (rank >= 0 && rank < best_rank) {
        best_rank = rank;
        best = i;
      }
    }
    if (best_rank == INT32_MAX) break;
    parts[best] += parts[best + 1];
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
  Ids ids;
  for (const std::string& part : parts) ids.push_back(tables.find(part));
  return ids;
}

TEST(BpeEncode, HeapAndSearchAndTiktokensRuleAgree) {
  std::mt19937_64 random(11);
  for (const Tokenizer& tokenizer : {small_vocabulary(), ranked_vocabulary()}) {
    for (int round = 0; round < 2000; ++round) {
      const std::string piece = random_text(random, round % 2 ? "aab" : "abcde\xC3\xA9", 1 + random() % 300);
      Ids searched, heaped;
      merge_by_search(tokenizer.tables(), piece, searched);
      merge_by_heap(tokenizer.tables(), piece, heaped);
      ASSERT_EQ(searched, heaped) << piece;
      if (round < 500) {
        ASSERT_EQ(searched, merged_by_bytes(tokenizer.tables(), piece)) << piece;
      }
    }
  }
}

TEST(BpeEncode, DecodingGivesTheTextBack) {
  std::mt19937_64 random(13);
  const Tokenizer tokenizer = small_vocabulary();
  Encoder encoder(tokenizer);
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    for (std::uint64_t i = random() % 100; i > 0; --i) {
      append_utf8(text, static_cast<char32_t>(random() % 3 ? 'a' + random() % 5 : random() % 0xD800));
    }
    Ids ids;
    encoder.encode_into(text, ids);
    ASSERT_EQ(tokenizer.decode(ids), text);
  }
}

TEST(BpeEncode, MemoryOfPiecesNeverChangesIds) {
  std::mt19937_64 random(17);
  Encoder encoder(small_vocabulary());
  std::string all;
  Ids together;
  for (int round = 0; round < 3000; ++round) {  // pieces of 1 to 60 bytes, repeated, in all sizes of the encoder's memories
    const std::string word = " " + random_text(random, "abc", 1 + random() % (round % 3 ? 6 : 60));
    Ids once, again, alone;
    encoder.encode_into(word, once);
    encoder.encode_into(word, again);
    encode_piece(encoder.tokenizer().tables(), word, alone);
    ASSERT_EQ(once, alone) << word;
    ASSERT_EQ(again, alone) << word;
    all += word;
    together.insert(together.end(), alone.begin(), alone.end());
  }
  Ids ids{-7};
  encoder.encode_into(all, ids);
  EXPECT_EQ(ids.front(), -7) << "encode_into appends";
  EXPECT_EQ(Ids(ids.begin() + 1, ids.end()), together);
}

TEST(BpeEncode, AShortPieceAtTheEndOfMemoryIsNotReadBeyond) {
  Encoder encoder(small_vocabulary());
  for (std::size_t length = 1; length < 40; ++length) {
    const std::unique_ptr<char[]> exact(new char[length]);  // the address sanitizer watches its end
    std::fill_n(exact.get(), length, 'a');
    Ids ids;
    encoder.encode_into({exact.get(), length}, ids);
    EXPECT_EQ(encoder.tokenizer().decode(ids), std::string(length, 'a'));
  }
}

TEST(BpeEncode, BytesThatAreNotUtf8CountAsReplacement) {
  const Tokenizer tokenizer = small_vocabulary();
  EXPECT_EQ(tokenizer.decode(tokenizer.encode_ordinary("a\xFF"
                                                       "b")),
            "a\xEF\xBF\xBD"
            "b");
}

TEST(BpeEncode, LongRunsTakeLinearithmicTime) {
  Encoder encoder(small_vocabulary());
  for (const char letter : {'a', ' ', '^'}) {
    Ids ids;
    const auto start = std::chrono::steady_clock::now();
    encoder.encode_into(std::string(1'000'000, letter), ids);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    EXPECT_LT(seconds, 20.0) << letter;  // milliseconds to a second; the square would take hours
    EXPECT_EQ(encoder.tokenizer().decode(ids).size(), 1'000'000u);
  }
}

TEST(BpeEncode, EmptyTextHasNoIds) { EXPECT_TRUE(small_vocabulary().encode_ordinary("").empty()); }

}  // namespace
}  // namespace longhaul::tokenizer
