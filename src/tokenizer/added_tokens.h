// tokenizer/added_tokens.h — finding added tokens in text, as Hugging Face's AddedVocabulary does.
//
// tokenizer.json may list tokens that are looked for in the text before anything else, the leftmost first and of those that begin there
// the longest: Gemma's runs of line feeds, Qwen's <think>. Those with `normalized` are looked for after normalisation. Special
// tokens take part in the search, but one that is found is ordinary text all the same (`encode_special_tokens` of `tokenizers`): a
// document cannot forge <|endoftext|>.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tokenizer/tokenizer_parts.h"

namespace longhaul::tokenizer {

class AddedTokenSearch {
 public:
  AddedTokenSearch() = default;

  /// @param id   kNoId for a special token, whose text stays text
  void add(std::string_view text, std::int32_t id);

  /// Nothing that is looked for would become a token.
  bool empty() const { return !finds_tokens_; }

  struct Match {
    std::size_t begin, end;
    std::int32_t id;
  };
  /// Appends the tokens in `text`, in order. At most kMaxAddedTokenBytes comparisons a byte.
  void find_all(std::string_view text, std::vector<Match>& matches) const;

 private:
  struct Node {
    bool ends_token = false;
    std::int32_t id = -1;
    std::vector<std::pair<unsigned char, std::uint32_t>> children;  // ascending
  };
  std::uint32_t child(std::uint32_t node, unsigned char byte) const;  // 0: none

  std::vector<Node> nodes_ = std::vector<Node>(1);
  std::array<bool, 256> begins_{};
  bool finds_tokens_ = false;
};

/// The longest added token that is looked for: the work for a byte of text is bounded by it. Gemma's longest has 93 bytes.
inline constexpr std::size_t kMaxAddedTokenBytes = 1024;

}  // namespace longhaul::tokenizer
