#include "data/corpus.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <string>
#include <utility>

#include "data/token_source.h"

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

void DividedReader::divide(bool heldout_source) {
  ids_ = document_.ids;
  train_ids_ = 0;
  if (ids_.empty()) {
    rest_ = corpus_.split().divide(document_.text, heldout_source);
    return;
  }
  std::optional<TokenPlace> tail;
  rest_ = corpus_.split().divide(document_.text, heldout_source, [&](std::string_view text, double share) {
    tail = tail_begin_of_ids(ids_, text.size(), share, *corpus_.ingest().vocabulary);
    return tail->byte;
  });
  train_ids_ = tail ? tail->token : rest_.train.empty() ? 0 : ids_.size();
}

bool DividedReader::next(EncodedDocument& part) {
  if (rest_.train.empty() && rest_.heldout.empty()) {
    if (!reader_.next(document_)) return false;
    const bool heldout_source = corpus_.of_heldout_source(document_.source);
    divide(heldout_source);
    if (heldout_source) overlap_.add_heldout(document_.text);
    if (!rest_.train.empty())
      overlap_.check_train(document_.text, [&] { return ingest::document_name(corpus_.files()[document_.file], document_.line); });
  }
  part.heldout = rest_.train.empty();
  part.text = std::exchange(part.heldout ? rest_.heldout : rest_.train, {});
  part.has_ids = !ids_.empty();
  const auto ids = part.heldout ? ids_.subspan(train_ids_) : ids_.first(train_ids_);
  if (part.has_ids) part.ids.assign(ids.begin(), ids.end());
  part.source = document_.source;
  part.file = document_.file;
  part.line = document_.line;
  part.metadata = document_.metadata;
  return true;
}

}  // namespace longhaul::data
