// tokenizer/tokenizer_parts.h — everything a tokenizer consists of, as values: what files are read into and tables are made from.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tokenizer/pattern.h"
#include "tokenizer/text_rules.h"

namespace longhaul::tokenizer {

/// A token that text never produces.
struct SpecialToken {
  std::string text;
  std::int32_t id = 0;
  bool normalized = false;  ///< looked for after normalisation (tokenizer/added_tokens.h)
};

/// A token that is looked for in text before anything else; it may be a token of the merges too.
struct AddedToken {
  std::string text;
  std::int32_t id = 0;
  bool normalized = false;
  bool operator==(const AddedToken&) const = default;
};

/// Two adjacent tokens become one. Rank = position in the list of merges.
struct Merge {
  std::int32_t left = 0, right = 0, merged = 0;
};

/// What merging begins with. `bytes`: the bytes of a piece (GPT-2's kind). `characters`: its characters, and for one without a token the
/// tokens of its bytes (SentencePiece's kind with byte fallback).
enum class Units : std::uint8_t { bytes, characters };

/// Everything a tokenizer consists of; loaders and the trainer fill it in, Tokenizer checks it.
struct TokenizerParts {
  Pattern pattern = Pattern::gpt2;
  Units units = Units::bytes;
  TextRules rules;
  std::vector<std::string> tokens;       ///< index = id; empty where an id is special, added or unused. `bytes`: all 256 single ones
  std::vector<std::int32_t> byte_ids;    ///< of `characters`: the 256 ids that stand for one byte (<0x00>…); not among `tokens`
  std::vector<Merge> merges;             ///< ascending rank; may be empty when `merge_by_rank`
  bool merge_by_rank = false;            ///< tiktoken: two tokens merge if their bytes together are a token, its id being the rank
  std::vector<std::int32_t> rank_order;  ///< of `merge_by_rank`: ids by ascending rank (SentencePiece's scores); empty: the rank is the id
  bool whole_piece_first = false;        ///< a piece that is a token is not merged at all (tiktoken; "ignore_merges" of tokenizer.json)
  std::vector<SpecialToken> specials;    ///< ids that `tokens` leaves empty
  std::vector<AddedToken> added;
  std::string origin;  ///< file name for messages
};

}  // namespace longhaul::tokenizer
