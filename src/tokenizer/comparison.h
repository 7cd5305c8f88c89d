// tokenizer/comparison.h — two vocabularies side by side: which ids mean the same, and how many tokens each makes of a text.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "tokenizer/tokenizer.h"

namespace longhaul::tokenizer {

/// Ids by what they stand for in both: the same token, another one, or one vocabulary alone has the id.
struct IdComparison {
  std::int64_t same = 0, different = 0, only_in_a = 0, only_in_b = 0;
  std::int64_t tokens_in_both = 0;  ///< tokens (by their bytes) that both have, under whatever id
};
IdComparison compare_ids(const Tokenizer& a, const Tokenizer& b);

/// What two vocabularies make of the same text.
struct TextComparison {
  std::string name;
  std::int64_t documents = 0, bytes = 0, words = 0;  ///< words: maximal runs of characters that are not white space
  std::array<std::int64_t, 2> tokens{};              ///< of a and b, without begin and end
  std::int64_t documents_with_equal_ids = 0;

  double bytes_per_token(std::size_t which) const {
    return tokens[which] == 0 ? 0 : static_cast<double>(bytes) / static_cast<double>(tokens[which]);
  }
  /// "Fertility".
  double tokens_per_word(std::size_t which) const {
    return words == 0 ? 0 : static_cast<double>(tokens[which]) / static_cast<double>(words);
  }
  TextComparison& operator+=(const TextComparison& other);
};

/// Encodes documents with both.
class TokenizerComparison {
 public:
  TokenizerComparison(const Tokenizer& a, const Tokenizer& b) : encoders_{Encoder(a), Encoder(b)} {}
  void add(std::string_view document, TextComparison& to);

 private:
  std::array<Encoder, 2> encoders_;
  std::array<std::vector<std::int32_t>, 2> ids_;
};

}  // namespace longhaul::tokenizer
