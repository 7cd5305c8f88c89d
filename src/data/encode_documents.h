// data/encode_documents.h — texts with their token ids: read by one thread, encoded by several, handed over in the order of reading. What a
// dataset holds and what is evaluated from a text file go through here, so both have the same ids.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace longhaul::data {

struct EncodedDocument {
  std::string text;
  std::size_t source = 0, file = 0;  ///< as in Document
  std::int64_t line = 0;
  std::string metadata;           ///< as in Document
  bool heldout = false;           ///< the side of the split, where there is one
  std::vector<std::int32_t> ids;  ///< of the text alone, not framed
  bool has_ids = false;           ///< they were there before: the text is not encoded
};

/// Reads to the end. Which thread encodes which text reaches nothing.
/// @param next      fills all but the ids of the next text; false at the end
/// @param take      called with each text, on the caller's thread
/// @param progress  called now and then, after some megabytes
/// @throws whatever `next` and `take` throw
void encode_documents(const std::function<bool(EncodedDocument&)>& next, const tokenizer::Tokenizer& tokenizer, int threads,
                      const std::function<void(const EncodedDocument&)>& take, const std::function<void()>& progress);

}  // namespace longhaul::data
