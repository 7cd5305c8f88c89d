// data/encode_documents.h — documents of text files with their token ids: read by one thread, encoded by several, handed over in the
// order of reading. What a dataset holds and what is evaluated from a text file go through here, so both have the same ids.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "data/ingest.h"
#include "data/tokenizer.h"

namespace longhaul::data {

struct EncodedDocument {
  std::string text;
  std::size_t source = 0, file = 0;  ///< as in Document
  std::int64_t line = 0;
  std::vector<std::int32_t> ids;  ///< of the text alone, not framed
};

/// Reads to the end of `reader`. Which thread encodes which document reaches nothing.
/// @param take      called with each document, on the caller's thread
/// @param progress  called now and then with the bytes of files that were read; may be empty
/// @throws DataError of the reader, and whatever `take` throws
void encode_documents(DocumentReader& reader, const Tokenizer& tokenizer, int threads, const std::function<void(EncodedDocument&)>& take,
                      const std::function<void(std::int64_t)>& progress);

}  // namespace longhaul::data
