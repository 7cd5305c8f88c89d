// data/tokenizer_parts.h — everything a tokenizer consists of, as values: what files are read into and tables are made from.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/pattern.h"

namespace longhaul::data {

/// A token that text never produces.
struct SpecialToken {
  std::string text;
  std::int32_t id = 0;
};

/// Two adjacent tokens become one. Rank = position in the list of merges.
struct Merge {
  std::int32_t left = 0, right = 0, merged = 0;
};

/// Everything a tokenizer consists of; loaders and the trainer fill it in, Tokenizer checks it.
struct TokenizerParts {
  Pattern pattern = Pattern::gpt2;
  std::vector<std::string> tokens;     ///< index = id; empty where an id is special or unused. All 256 single bytes must be there
  std::vector<Merge> merges;           ///< ascending rank; may be empty when `merge_by_rank`
  bool merge_by_rank = false;          ///< tiktoken: two tokens merge if their bytes together are a token, its id being the rank
  bool whole_piece_first = false;      ///< a piece that is a token is not merged at all (tiktoken; "ignore_merges" of tokenizer.json)
  std::vector<SpecialToken> specials;  ///< ids that `tokens` leaves empty
  std::string origin;                  ///< file name for messages
};

}  // namespace longhaul::data
