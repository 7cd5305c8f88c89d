// tokenizer/sentencepiece_model.h — reader of SentencePiece's .model files (sentencepiece_model.proto), BPE with byte fallback.
//
// The file is a protocol buffer: pieces with score and type, how it was trained, how text is normalised. The few fields that decide ids
// are read here, without the library. Two adjacent symbols merge if they make a piece together, the piece of the highest score first, the
// leftmost on ties; a character without a piece becomes the pieces of its bytes. Llama 2's and Mistral's are of this kind.
//
// Refused by name, since ids would differ: unigram, word and character models, normalisation by a table (nmt_nfkc…) or removing white
// space, models without byte fallback, unused pieces, equal scores.
#pragma once

#include <string>
#include <string_view>

#include "tokenizer/tokenizer_parts.h"

namespace longhaul::tokenizer {

/// Whether a file begins as a .model does: with a piece.
bool is_sentencepiece_model(std::string_view contents);

/// @throws DataError   damage (with the byte where it is), or what is not implemented
TokenizerParts parse_sentencepiece_model(std::string_view contents, const std::string& name);

}  // namespace longhaul::tokenizer
