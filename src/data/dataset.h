// data/dataset.h — a prepared dataset on disk, opened for reading.
//
// A dataset directory holds dataset.json (the manifest), tokenizer.json and, for each split, shards of token ids with a document
// index (docs/formats.md, "Dataset"). Nothing unverified is loaded: opening checks every header against the manifest and, by
// default, the SHA-256 of every shard, the hash inside it and the range of every id. Shards are memory-mapped; a TokenStream shows
// the shards of one split as one sequence of tokens, documents in the order in which they were read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/manifest.h"
#include "data/shard.h"

namespace longhaul::data {

/// One split as one sequence of tokens: framed documents back to back (tokenizer/framing.h). Where one token is begin and end, the stream
/// closes with it, so that the last document has its end too; that one is not stored.
class TokenStream {
 public:
  /// Takes shards of one split in order. Views stay valid as long as the stream (or a copy of it) lives.
  explicit TokenStream(std::vector<std::shared_ptr<const Shard>> shards);

  std::int64_t tokens() const { return stored_ + (documents_ > 0 && framing_.shared() ? 1 : 0); }
  const tokenizer::Framing& framing() const { return framing_; }
  std::int64_t documents() const { return static_cast<std::int64_t>(documents_); }
  /// UTF-8 bytes of the documents' text (without their frames): the denominator of bits/byte.
  std::int64_t text_bytes() const { return text_bytes_; }
  /// Copies tokens [first, first + out.size()); the range must lie within the stream.
  void read(std::int64_t first, std::span<std::int32_t> out) const;
  /// First token of a document, its frame included; document_begin(documents()) is the end of what is stored.
  std::int64_t document_begin(std::int64_t document) const;
  /// The document's text, t₁ … tₙ, is [text_begin, text_end); its end token is at text_end.
  std::int64_t text_begin(std::int64_t document) const { return document_begin(document) + (framing_.has_begin() ? 1 : 0); }
  std::int64_t text_end(std::int64_t document) const { return document_begin(document + 1) - (framing_.shared() ? 0 : 1); }
  /// The document that the stored token `position` belongs to; O(log documents).
  std::int64_t document_of(std::int64_t position) const;
  /// Bytes of the document's text, and the index of its source in the manifest.
  DocumentEntry document_entry(std::int64_t document) const;

 private:
  struct Place {
    std::size_t shard;
    std::int64_t local;
  };
  Place place_of_document(std::int64_t document) const;

  std::vector<std::shared_ptr<const Shard>> shards_;
  std::vector<std::int64_t> first_token_;     // of each shard, and the end
  std::vector<std::int64_t> first_document_;  // of each shard, and the end
  tokenizer::Framing framing_;                // of every shard
  std::int64_t stored_ = 0, documents_ = 0, text_bytes_ = 0;
};

enum class Verify {
  structure,  ///< headers, sizes and counts against the manifest
  full        ///< the above, SHA-256 of every file, the hash inside each shard, every token id below vocab_size
};

class Dataset {
 public:
  /// @throws DataError naming the file, what is wrong and how to repair it
  static Dataset open(const std::filesystem::path& directory, Verify verify = Verify::full);

  const std::filesystem::path& directory() const { return directory_; }
  const Manifest& manifest() const { return manifest_; }
  const TokenStream& train() const { return train_; }
  const TokenStream& heldout() const { return heldout_; }
  /// @throws DataError when the dataset is for evaluation alone
  void require_training_text() const;
  std::filesystem::path tokenizer_path() const { return directory_ / manifest_.tokenizer_file; }

  /// The run's vocabulary must be the one the data was encoded with.
  /// @param vocab_size   rows of the run's embedding that tokens may use: at least the dataset's
  /// @param fingerprint  Tokenizer::fingerprint() of the run's tokenizer; empty = not compared
  /// @throws DataError   naming both sizes or both fingerprints
  void require_vocabulary(std::int64_t vocab_size, const std::string& fingerprint = {}) const;

 private:
  Dataset(std::filesystem::path directory, Manifest manifest, TokenStream train, TokenStream heldout);
  std::filesystem::path directory_;
  Manifest manifest_;
  TokenStream train_, heldout_;
};

}  // namespace longhaul::data
