#include "data/corpus.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>

namespace longhaul::data {

Corpus::Corpus(const std::vector<ingest::Source>& sources, const std::vector<ingest::Source>& heldout_sources, const SplitOptions& split,
               ingest::IngestOptions ingest)
    : ingest_(std::move(ingest)), heldout_sources_from_(sources.size()), sources_(sources) {
  sources_.insert(sources_.end(), heldout_sources.begin(), heldout_sources.end());
  walk_ = ingest::walk_sources(sources_, ingest_.walk);
  std::stable_partition(walk_.files.begin(), walk_.files.end(),
                        [&](const ingest::InputFile& file) { return of_heldout_source(file.source); });
  split_ = Split::decide(split, !heldout_sources.empty(), [&] { return one_document(); });
}

std::vector<ingest::InputFile> Corpus::train_files() const {
  std::vector<ingest::InputFile> result;
  std::copy_if(walk_.files.begin(), walk_.files.end(), std::back_inserter(result),
               [&](const ingest::InputFile& file) { return !of_heldout_source(file.source); });
  return result;
}

bool Corpus::one_document() const {
  ingest::DocumentReader reader(train_files(), ingest_);
  ingest::Document document;
  return reader.next(document) && !reader.next(document);
}

bool DividedReader::next(EncodedDocument& part) {
  if (rest_.train.empty() && rest_.heldout.empty()) {
    if (!reader_.next(document_)) return false;
    const bool heldout_source = corpus_.of_heldout_source(document_.source);
    rest_ = corpus_.split().divide(document_.text, heldout_source);
    if (heldout_source) overlap_.add_heldout(document_.text);
    if (!rest_.train.empty())
      overlap_.check_train(document_.text, [&] { return ingest::document_name(corpus_.files()[document_.file], document_.line); });
  }
  part.heldout = rest_.train.empty();
  part.text = std::exchange(part.heldout ? rest_.heldout : rest_.train, {});
  part.source = document_.source;
  part.file = document_.file;
  part.line = document_.line;
  part.metadata = document_.metadata;
  return true;
}

}  // namespace longhaul::data
