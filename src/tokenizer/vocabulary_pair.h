// tokenizer/vocabulary_pair.h — GPT-2's two files: vocab.json (token → id) and merges.txt (which two tokens become one, in order).
//
// The ids are in vocab.json alone. merges.txt without it has them only where its numbering is known, which holds for one file: GPT-2's own
// (vocab.bpe, SHA-256 in openai/tiktoken), whose ids are the bytes in GPT-2's order, the merges, <|endoftext|>. Every other file is read
// with the one beside it: merges.txt and vocab.json, vocab.bpe and encoder.json, X-merges.txt and X-vocab.json.
//
// Tokens of vocab.json that no byte and no merge gives (<s>, <|endoftext|>) are special. Text is cut as GPT-2 does unless the caller names
// another pattern.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "tokenizer/tokenizer_parts.h"

namespace longhaul::tokenizer {

/// Whether a file that is no tokenizer.json is one of the pair.
enum class PairFile : std::uint8_t { none, vocabulary, merges };
PairFile pair_file(std::string_view contents, const std::string& name);

/// The other file of the pair beside `file`. @throws DataError naming the files that were looked for
std::filesystem::path other_of_pair(const std::filesystem::path& file, PairFile kind);

/// The pair does not say how text is cut; a tokenizer_config.json beside it names the class that does. Without a pattern from the caller it
/// must be one that cuts as GPT-2. @throws DataError naming the class
void require_gpt2_class(const std::filesystem::path& file);

/// @param vocabulary, merges   contents; the names stand for the files in messages
TokenizerParts parse_vocabulary_pair(std::string_view vocabulary, const std::string& vocabulary_name, std::string_view merges,
                                     const std::string& merges_name, const std::optional<Pattern>& pattern);

/// Whether a file of merges is GPT-2's own, whose numbering is known.
bool is_gpt2_merges(std::string_view contents);

/// GPT-2's own vocab.bpe, known by its hash. @throws DataError for any other, saying what is needed
TokenizerParts parse_known_merges(std::string_view contents, const std::string& name, const std::optional<Pattern>& pattern);

/// A file of merges whose ids follow GPT-2's numbering: bytes in GPT-2's order, merges, <|endoftext|>.
TokenizerParts parse_gpt2_merges(std::string_view contents, const std::string& name);

}  // namespace longhaul::tokenizer
