#include "tokenizer/comparison.h"

#include <gtest/gtest.h>

#include "tokenizer/test_kinds.h"

namespace longhaul::tokenizer {
namespace {

TEST(TokenizerComparison, CountsTokensWordsAndEqualDocuments) {
  const Tokenizer gpt2 = Tokenizer::parse(kinds::gpt2().dump(), "a"), tekken = Tokenizer::parse(kinds::tekken().dump(), "b");
  TokenizerComparison comparison(gpt2, tekken);
  TextComparison text;
  comparison.add("the the's", text);  // "the", " the", "'", "s"; "the", " ", "the", "'s"
  comparison.add("xyz", text);
  EXPECT_EQ(text.documents, 2);
  EXPECT_EQ(text.bytes, 12);
  EXPECT_EQ(text.words, 3);
  EXPECT_EQ(text.tokens, (std::array<std::int64_t, 2>{7, 7}));
  EXPECT_EQ(text.documents_with_equal_ids, 1);
  EXPECT_DOUBLE_EQ(text.bytes_per_token(0), 12.0 / 7);
  EXPECT_DOUBLE_EQ(text.tokens_per_word(1), 7.0 / 3);
}

TEST(TokenizerComparison, IdsAreComparedByWhatTheyStandFor) {
  // Both: 256 bytes, "th", "the". Then " the" and <|endoftext|>, or "12", "'s" and <|endoftext|>.
  const IdComparison ids = compare_ids(Tokenizer::parse(kinds::gpt2().dump(), "a"), Tokenizer::parse(kinds::tekken().dump(), "b"));
  EXPECT_EQ(ids.same, 258);
  EXPECT_EQ(ids.different, 2) << "258: ' the' and '12'; 259: <|endoftext|> and ''s'";
  EXPECT_EQ(ids.only_in_a, 0);
  EXPECT_EQ(ids.only_in_b, 1);
  EXPECT_EQ(ids.tokens_in_both, 259) << "<|endoftext|> too, under another id";
}

}  // namespace
}  // namespace longhaul::tokenizer
