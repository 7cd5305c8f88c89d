// data/corpus.h — what `data prepare` reads: the files of all sources, the split that was decided for them, and their text in its two
// parts.
//
// Files of held-out sources are read first, so that each document that is trained on can be compared with what they hold out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "data/encode_documents.h"
#include "data/split.h"
#include "ingest/documents.h"

namespace longhaul::data {

class Corpus {
 public:
  /// Lists the files; reads two documents where the split depends on whether there is a second.
  /// @throws UsageError of Split::decide(), DataError of walk_sources() and DocumentReader
  Corpus(const std::vector<ingest::Source>& sources, const std::vector<ingest::Source>& heldout_sources, const SplitOptions& split,
         ingest::IngestOptions ingest);

  const std::vector<ingest::Source>& sources() const { return sources_; }  ///< those of --source, then those of --heldout-source
  bool of_heldout_source(std::size_t source) const { return source >= heldout_sources_from_; }
  const std::vector<ingest::InputFile>& files() const { return walk_.files; }
  const ingest::SourceWalk& walk(std::size_t source) const { return walk_.sources[source]; }
  std::vector<ingest::InputFile> train_files() const;  ///< of the sources that are not held out whole
  std::int64_t bytes() const { return walk_.bytes(); }
  const Split& split() const { return split_; }
  const ingest::IngestOptions& ingest() const { return ingest_; }

 private:
  bool one_document() const;
  ingest::IngestOptions ingest_;
  std::size_t heldout_sources_from_;
  std::vector<ingest::Source> sources_;
  ingest::Walk walk_;
  Split split_;
};

/// Hands out the documents of a corpus divided: what is trained on of one, then what is held out of it.
class DividedReader {
 public:
  /// The corpus must outlive the reader. @param rejected  as in DocumentReader
  DividedReader(const Corpus& corpus, std::function<void(const ingest::RejectedRow&)> rejected)
      : corpus_(corpus), reader_(corpus.files(), corpus.ingest(), std::move(rejected)) {}
  /// Fills all but the ids; false at the end.
  bool next(EncodedDocument& part);
  const Overlap& overlap() const { return overlap_; }
  const std::vector<ingest::FileSummary>& summaries() const { return reader_.summaries(); }
  std::int64_t bytes_read() const { return reader_.bytes_read(); }

 private:
  const Corpus& corpus_;
  void divide(bool heldout_source);
  ingest::DocumentReader reader_;
  ingest::Document document_;
  SplitText rest_;                     // of the document, to be handed out
  std::span<const std::int32_t> ids_;  // likewise, where it has ids
  std::size_t train_ids_ = 0;          // so many of them are trained on
  Overlap overlap_;
};

}  // namespace longhaul::data
