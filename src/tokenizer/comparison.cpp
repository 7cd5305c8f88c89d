#include "tokenizer/comparison.h"

#include <unordered_set>

#include "tokenizer/bpe_tables.h"
#include "tokenizer/words.h"

namespace longhaul::tokenizer {

IdComparison compare_ids(const Tokenizer& a, const Tokenizer& b) {
  IdComparison result;
  const std::int32_t size = std::max(a.vocab_size(), b.vocab_size());
  const auto has = [](const Tokenizer& tokenizer, std::int32_t id) {
    return id < tokenizer.vocab_size() && !tokenizer.token_bytes(id).empty();
  };
  std::unordered_set<std::string_view> tokens_of_a;
  for (std::int32_t id = 0; id < size; ++id) {
    const bool in_a = has(a, id), in_b = has(b, id);
    if (in_a) tokens_of_a.insert(a.token_bytes(id));
    if (in_a && in_b) {
      const bool same = a.token_bytes(id) == b.token_bytes(id) && a.tables().is_special(id) == b.tables().is_special(id);
      ++(same ? result.same : result.different);
    }
    result.only_in_a += in_a && !in_b;
    result.only_in_b += in_b && !in_a;
  }
  for (std::int32_t id = 0; id < b.vocab_size(); ++id) {
    if (has(b, id)) result.tokens_in_both += static_cast<std::int64_t>(tokens_of_a.erase(b.token_bytes(id)));
  }
  return result;
}

TextComparison& TextComparison::operator+=(const TextComparison& other) {
  documents += other.documents;
  bytes += other.bytes;
  words += other.words;
  documents_with_equal_ids += other.documents_with_equal_ids;
  for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] += other.tokens[i];
  return *this;
}

void TokenizerComparison::add(std::string_view document, TextComparison& to) {
  for (std::size_t i = 0; i < encoders_.size(); ++i) {
    ids_[i].clear();
    encoders_[i].encode_into(document, ids_[i]);
    to.tokens[i] += static_cast<std::int64_t>(ids_[i].size());
  }
  ++to.documents;
  to.bytes += static_cast<std::int64_t>(document.size());
  to.words += count_words(document);
  to.documents_with_equal_ids += ids_[0] == ids_[1];
}

}  // namespace longhaul::tokenizer
