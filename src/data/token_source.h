// data/token_source.h — sources that are token ids already (`data prepare --tokens`): what their reader needs of the tokenizer, and where
// such documents are divided.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>

#include "ingest/tokens.h"
#include "tokenizer/tokenizer.h"

namespace longhaul::data {

/// The tokenizer must outlive it. @param file  the tokenizer's, for messages
std::shared_ptr<const ingest::TokenVocabulary> token_vocabulary(const tokenizer::Tokenizer& tokenizer, const tokenizer::Framing& framing,
                                                                const std::filesystem::path& file, bool whole_files);

struct TokenPlace {
  std::size_t token = 0, byte = 0;
};

/// Where the tail of a document begins that holds `share` of its bytes: with the first token that begins there or later; with none where no
/// part of both can be had, then byte = text_bytes. What data/split.h does with text, at tokens: their ids are never changed.
TokenPlace tail_begin_of_ids(std::span<const std::int32_t> ids, std::size_t text_bytes, double share,
                             const ingest::TokenVocabulary& vocabulary);

}  // namespace longhaul::data
