// data/dry_run.h — what a preparation would read and make, from a sample: nothing is written.
//
// Of each source at most kFiles files, evenly spaced in reading order, are read for their first kFileBytes bytes of text. Documents and
// text scale with the bytes on disk (a text file that is not divided is one document); tokens with the sample's bytes per token, under the
// given vocabulary or one trained on the sample; seconds with the speed of each phase on the sample.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ingest/account.h"
#include "tokenizer/tokenizer.h"

namespace longhaul::data {

struct SourceEstimate {
  std::string name;
  ingest::Account files;  ///< exact: every file was looked for
  double documents = 0, text_bytes = 0, tokens = 0;
  std::int64_t sampled_files = 0, sampled_bytes = 0;  ///< of text
  ingest::Account rows;                               ///< of the sample
  std::vector<ingest::UndividedFile> undivided;       ///< in the sample
  std::int64_t fault_count = 0;                       ///< faults in the sample that would stop the preparation
  std::vector<std::string> faults;                    ///< the first of them
};

struct DryRun {
  static constexpr std::size_t kFiles = 32, kFaults = 3;
  static constexpr std::int64_t kFileBytes = std::int64_t{256} << 10;
  static constexpr std::int64_t kTokenizedBytes = std::int64_t{8} << 20;  ///< of the sample, for tokens and speeds

  std::vector<SourceEstimate> sources;
  double bytes_per_token = 0;  ///< of the sample; 0 when it has no text
  std::int64_t tokenized_bytes = 0;
  double reading_seconds = 0, vocabulary_seconds = 0, encoding_seconds = 0;  ///< of the whole preparation

  bool would_stop() const;
  double seconds() const { return reading_seconds + vocabulary_seconds + encoding_seconds; }
};

/// @param tokenizer   the vocabulary; nothing: one of `vocab_size` entries is trained
/// @throws what walk_sources() and train_bpe() throw; faults of files are part of the result
DryRun dry_run(const std::vector<ingest::Source>& sources, const ingest::IngestOptions& ingest,
               const std::optional<tokenizer::Tokenizer>& tokenizer, std::int64_t vocab_size, int threads);

}  // namespace longhaul::data
