#include "data/dataset.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>

#include "files/read.h"
#include "units/error.h"

namespace longhaul::data {

namespace fs = std::filesystem;

TokenStream::TokenStream(std::vector<std::shared_ptr<const Shard>> shards) : shards_(std::move(shards)) {
  for (const auto& shard : shards_) {
    first_token_.push_back(stored_);
    first_document_.push_back(documents_);
    const ShardHeader& header = shard->view().header;
    assert(shard == shards_.front() || header.framing == framing_);
    framing_ = header.framing;
    stored_ += static_cast<std::int64_t>(header.token_count);
    documents_ += static_cast<std::int64_t>(header.document_count);
    text_bytes_ += static_cast<std::int64_t>(header.text_bytes);
  }
  first_token_.push_back(stored_);
  first_document_.push_back(documents_);
}

void TokenStream::read(std::int64_t first, std::span<std::int32_t> out) const {
  assert(first >= 0 && first + std::ssize(out) <= tokens());
  if (!out.empty() && first + std::ssize(out) > stored_) {
    out.back() = framing_.end;
    out = out.first(out.size() - 1);
  }
  if (out.empty()) return;
  auto shard = static_cast<std::size_t>(std::upper_bound(first_token_.begin(), first_token_.end(), first) - first_token_.begin() - 1);
  while (!out.empty()) {
    const auto count = std::min(out.size(), static_cast<std::size_t>(first_token_[shard + 1] - first));
    shards_[shard]->view().read(first - first_token_[shard], out.first(count));
    out = out.subspan(count);
    first += static_cast<std::int64_t>(count);
    ++shard;
  }
}

TokenStream::Place TokenStream::place_of_document(std::int64_t document) const {
  assert(document >= 0 && document < documents_);
  const auto shard =
      static_cast<std::size_t>(std::upper_bound(first_document_.begin(), first_document_.end(), document) - first_document_.begin() - 1);
  return {shard, document - first_document_[shard]};
}

std::int64_t TokenStream::document_begin(std::int64_t document) const {
  if (document >= documents_) return stored_;
  const Place place = place_of_document(document);
  return first_token_[place.shard] + static_cast<std::int64_t>(shards_[place.shard]->view().document(place.local).first_token);
}

DocumentEntry TokenStream::document_entry(std::int64_t document) const {
  const Place place = place_of_document(document);
  return shards_[place.shard]->view().document(place.local);
}

std::int64_t TokenStream::document_of(std::int64_t position) const {
  assert(position >= 0 && position < stored_);
  std::int64_t low = 0, high = documents_;  // document_begin(low) <= position < document_begin(high)
  while (high - low > 1) {
    const std::int64_t middle = low + (high - low) / 2;
    (document_begin(middle) <= position ? low : high) = middle;
  }
  return low;
}

namespace {

/// The checks of a shard against what the manifest promises of it.
void check_record(const ShardView& view, const ShardRecord& record, const Manifest& manifest, const std::string& name) {
  const ShardHeader& header = view.header;
  const Counts found{static_cast<std::int64_t>(header.document_count), static_cast<std::int64_t>(header.text_bytes),
                     static_cast<std::int64_t>(header.token_count)};
  if (found != record.counts)
    throw DataError(fmt::format("{}: {} tokens in {} documents, dataset.json promises {} in {}; the shard belongs to another dataset", name,
                                found.tokens, found.documents, record.counts.tokens, record.counts.documents));
  if (header.vocab_size != manifest.vocab_size || header.framing != manifest.framing ||
      header.tokenizer_hash != tokenizer_hash(manifest.tokenizer_fingerprint))
    throw DataError(
        fmt::format("{}: encoded with another vocabulary ({} entries) than dataset.json names ({} entries); prepare the dataset again",
                    name, header.vocab_size, manifest.vocab_size));
}

TokenStream open_split(const fs::path& directory, const Manifest& manifest, const std::vector<ShardRecord>& records, Verify verify) {
  std::vector<std::shared_ptr<const Shard>> shards;
  for (const ShardRecord& record : records) {
    const fs::path file = directory / record.path;
    // Structure first, whose errors explain a truncated file; then the digest, which detects any change.
    shards.push_back(Shard::map(file, verify == Verify::full ? ShardCheck::contents : ShardCheck::structure));
    check_record(shards.back()->view(), record, manifest, file.string());
    if (verify == Verify::structure) continue;
    files::Sha256 hash;
    hash.update(shards.back()->bytes());
    const std::string digest = hash.finish_hex();
    if (digest != record.sha256)
      throw DataError(fmt::format("{}: SHA-256 {} but dataset.json promises {}; prepare the dataset again or restore the file from a copy",
                                  file.string(), digest, record.sha256));
    shards.back()->release_pages();  // verified: a run reads a few sequences at a time
  }
  return TokenStream(std::move(shards));
}

void check_files(const fs::path& directory, const Manifest& manifest) {
  for (const FileRecord& record : manifest.files) {
    const fs::path file = directory / record.path;
    if (!fs::is_regular_file(file)) throw DataError(fmt::format("{}: the file is missing; prepare the dataset again", file.string()));
    const std::string digest = files::digest_file(file).sha256;
    if (digest != record.sha256)
      throw DataError(fmt::format("{}: SHA-256 {} but dataset.json promises {}; prepare the dataset again or restore the file from a copy",
                                  file.string(), digest, record.sha256));
  }
}

}  // namespace

Dataset::Dataset(fs::path directory, Manifest manifest, TokenStream train, TokenStream heldout)
    : directory_(std::move(directory)), manifest_(std::move(manifest)), train_(std::move(train)), heldout_(std::move(heldout)) {}

Dataset Dataset::open(const fs::path& directory, Verify verify) {
  Manifest manifest = Manifest::read(directory);
  if (manifest.content_hash != manifest.hash_of_contents())
    throw DataError(
        fmt::format("{}: content_hash is not that of the shards and the tokenizer it lists; prepare the dataset again or restore the "
                    "file from a copy",
                    (directory / "dataset.json").string()));
  TokenStream train = open_split(directory, manifest, manifest.train_shards, verify);
  TokenStream heldout = open_split(directory, manifest, manifest.heldout_shards, verify);
  if (verify == Verify::full) check_files(directory, manifest);
  return Dataset(directory, std::move(manifest), std::move(train), std::move(heldout));
}

void Dataset::require_training_text() const {
  if (train_.documents() == 0)
    throw DataError(
        fmt::format("{}: has no text to train on (prepared with --eval-only); `longhaul eval RUN.toml --data {}` evaluates a run on it, "
                    "`longhaul data prepare` without --eval-only makes a dataset to train on",
                    directory_.string(), directory_.string()));
}

void Dataset::require_vocabulary(std::int64_t vocab_size, const std::string& fingerprint) const {
  if (manifest_.vocab_size > vocab_size)
    throw DataError(
        fmt::format("{}: encoded with a vocabulary of {} entries, the model has {}; set model.vocab = {} or more, or prepare "
                    "the dataset with --vocab-size {}",
                    directory_.string(), manifest_.vocab_size, vocab_size, manifest_.vocab_size, vocab_size));
  if (!fingerprint.empty() && fingerprint != manifest_.tokenizer_fingerprint)
    throw DataError(fmt::format("{}: encoded with tokenizer {}, the run uses {}; use {} or prepare the dataset with the run's tokenizer",
                                directory_.string(), manifest_.tokenizer_fingerprint, fingerprint, tokenizer_path().string()));
}

}  // namespace longhaul::data
