// ingest/tokens.h — text that was tokenized before: the forms its files have, and what of a vocabulary is needed to make documents of them.
//
// Which files of a source hold ids, and of what size, is never guessed: `data prepare --tokens [NAME=]FORMAT` says it, and what contradicts
// it is an error.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace longhaul::ingest {

enum class TokenFormat {
  uint16,    ///< nothing but ids of 16 bits, little-endian (nanoGPT)
  uint32,    ///< nothing but ids of 32 bits
  llm_c,     ///< llm.c: 1,024 bytes of header; 16 bits (version 1) or 32 (version 7)
  megatron,  ///< Megatron-LM's indexed dataset: X.bin beside X.idx
};

/// "uint16", "uint32", "llm.c", "megatron", as `--tokens` takes them.
std::string_view token_format_name(TokenFormat format);
std::optional<TokenFormat> token_format_from_name(std::string_view name);
std::vector<std::string> token_format_names();

/// Whether a file of a source of `format` is taken by its name: X.bin, and Megatron's X.idx.
bool is_token_file_name(std::string_view name, TokenFormat format);
/// Megatron's X.idx, which is read with X.bin and holds no document of its own.
bool is_token_index_name(std::string_view name, TokenFormat format);

/// A vocabulary as this room needs it; it knows no tokenizers.
struct TokenVocabulary {
  static constexpr std::int32_t kNone = -1;
  std::string name;                     ///< for messages
  std::vector<std::string_view> bytes;  ///< of each id; empty: there is no such token. Whoever owns them outlives the reading
  std::int32_t begin = kNone;           ///< with which documents begin; kNone: they have none, or `end` stands for both
  std::int32_t end = kNone;             ///< which ends documents
  bool added_space = false;             ///< encoding puts a space before a text, which is none of the text's
  bool whole_files = false;             ///< a file without an end token is one document; else it is refused

  std::int64_t size() const { return static_cast<std::int64_t>(bytes.size()); }
};

}  // namespace longhaul::ingest
