// data/evaluation_text.h — a text to be evaluated: its tokens, and what the losses are related to besides tokens: names of documents,
// bytes (in the stream) and words.
//
// It is a dataset's held-out split, or text files as they are: read as `data prepare` reads them, encoded and framed in memory, written
// nowhere.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "data/dataset.h"
#include "ingest/documents.h"
#include "tokenizer/tokenizer.h"

namespace longhaul::data {

struct EvaluationText {
  TokenStream tokens;
  /// Of each document: its file (and line), or its source in a dataset; words of its text.
  std::vector<std::string> names;
  std::vector<std::int64_t> words;
  std::vector<std::string> notes;  ///< sentences on what was met and left out, or changed

  std::int64_t total_words() const;
};

/// The held-out split, its words counted in heldout.txt.
/// @throws DataError when there is none, or heldout.txt is not its text
EvaluationText heldout_text(const Dataset& dataset);

/// The documents of files and directories, encoded with the run's tokenizer and framed as its dataset frames them.
/// @param progress  called with bytes read and in all
/// @throws DataError as walk_sources() and DocumentReader do, and when there is no text at all
EvaluationText text_of_files(const std::vector<std::filesystem::path>& paths, const ingest::IngestOptions& ingest,
                             const tokenizer::Tokenizer& tokenizer, const tokenizer::Framing& framing, int threads,
                             const std::function<void(std::int64_t, std::int64_t)>& progress = {});

}  // namespace longhaul::data
