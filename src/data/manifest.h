// data/manifest.h — dataset.json: what a dataset directory holds, where it came from, and the hash of every file in it.
//
// The manifest is written last and the directory is renamed when complete, so a directory with a manifest is complete. It is also the
// recipe: preparing again with the same sources and options is recognised by comparing `recipe_hash`, and reused.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/split.h"
#include "ingest/account.h"
#include "tokenizer/framing.h"

namespace longhaul::data {

/// Documents, UTF-8 bytes and tokens (with those that frame documents, as stored).
struct Counts {
  std::int64_t documents = 0;
  std::int64_t bytes = 0;
  std::int64_t tokens = 0;
  Counts& operator+=(const Counts& other);
  bool operator==(const Counts&) const = default;
};

/// A file that was read; `path` relative to its source.
struct SourceFile {
  std::string path;
  std::int64_t bytes = 0;
  std::string sha256;
  bool operator==(const SourceFile&) const = default;
};

struct SourceRecord {
  std::string name;
  std::string path;             ///< as given, for the reader; not part of the recipe
  bool heldout_source = false;  ///< given by --heldout-source: all of it is held out
  std::string token_format;     ///< its files held token ids, in this format (--tokens); empty: text
  Counts train, heldout;
  ingest::Account walk;                          ///< of the files that were met
  ingest::Account rows;                          ///< of what could be a document in the files taken
  std::vector<ingest::UndividedFile> undivided;  ///< the first kUndivided
  std::int64_t empty_documents = 0;              ///< skipped
  std::int64_t replaced_sequences = 0;           ///< invalid UTF-8 sequences replaced by U+FFFD
  std::int64_t file_count = 0;
  std::string files_hash;         ///< SHA-256 over "sha256  path" and a newline of each file, in reading order (what sha256sum prints)
  std::vector<SourceFile> files;  ///< the first kListedFiles: the manifest stays small, the hash covers all
  static constexpr std::int64_t kListedFiles = 10000;
  static constexpr std::size_t kUndivided = 3;
  bool operator==(const SourceRecord&) const = default;
};

struct ShardRecord {
  std::string path;  ///< relative to the dataset, e.g. "train/shard-00000.tokens"
  Counts counts;
  std::int64_t file_bytes = 0;
  std::string sha256;
  bool operator==(const ShardRecord&) const = default;
};

/// Any other file of the dataset: tokenizer.json, heldout.txt, train.txt, rejected.jsonl.
struct FileRecord {
  std::string path;
  std::int64_t bytes = 0;
  std::string sha256;
  bool operator==(const FileRecord&) const = default;
};

struct Manifest {
  static constexpr int kVersion = 1;
  std::string longhaul_version;
  std::string recipe_hash;   ///< SHA-256 of the options and the sources' file hashes
  std::string content_hash;  ///< SHA-256 of tokenizer fingerprint and shard hashes: the identity of the data in a run's config hash
  Split split;
  std::string text_field;
  std::string invalid_utf8;       ///< "stop", "replace" or "skip-document" ("error" of earlier versions is "stop")
  std::string bad_rows = "stop";  ///< "stop", "skip" or "replace"
  std::int64_t vocab_size = 0;
  tokenizer::Framing framing;
  std::string tokenizer_file;         ///< "tokenizer.json"
  std::string tokenizer_fingerprint;  ///< Tokenizer::fingerprint()
  std::string tokenizer_origin;       ///< "trained" or "loaded"
  Counts train, heldout;
  /// Documents that are trained on and equal to one of a held-out source, and the names of the first.
  std::int64_t overlap_documents = 0;
  std::vector<std::string> overlap_names;
  std::vector<SourceRecord> sources;
  std::vector<ShardRecord> train_shards, heldout_shards;
  std::vector<FileRecord> files;

  double bytes_per_token() const;
  /// "by document hash, salt "longhaul", fraction 0.05; source tests is held out".
  std::string describe_split() const;
  /// What content_hash must be: of the tokenizer's fingerprint and the digest of each shard, in order. A run's identity rests on it.
  std::string hash_of_contents() const;
  std::string to_json() const;
  /// @throws DataError naming the field; limits: 16 MiB, depth 64, relative paths without ".."
  static Manifest from_json(const std::string& text, const std::string& file_name);
  static Manifest read(const std::filesystem::path& dataset_directory);
  bool operator==(const Manifest&) const = default;
};

}  // namespace longhaul::data
