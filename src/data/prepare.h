// data/prepare.h — from text files to a dataset directory: split, vocabulary, token shards, manifest.
//
// Two passes over the files. The first passes the training text to the BPE trainer; the second divides the text again (data/split.h),
// encodes it on several threads and writes shards in the order of reading, so the result is the same at any thread count. Everything is
// written under a temporary name next to the target, synced and renamed: the directory appears complete or not at all. Preparing again from
// the same files with the same options finds the finished directory, verifies it and reuses it; what a killed preparation has finished is
// taken over (data/preparation_record.h).
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "data/manifest.h"
#include "data/split.h"
#include "ingest/documents.h"
#include "tokenizer/tokenizer.h"

namespace longhaul::data {

struct PrepareOptions {
  std::vector<ingest::Source> sources;
  std::vector<ingest::Source> heldout_sources;  ///< held out whole, in a list of their own
  std::filesystem::path directory;              ///< to be made
  std::int64_t vocab_size = 0;                  ///< of the BPE to train; exclusive with tokenizer_file
  std::filesystem::path tokenizer_file;         ///< tokenizer.json or a tiktoken rank file to load instead
  std::optional<tokenizer::Pattern> pattern;    ///< of a rank file that is not one of OpenAI's
  std::optional<std::string> begin;  ///< special token of tokenizer_file that begins a document, or "none"; absent: Tokenizer::framing()
  std::optional<std::string> end;    ///< likewise, that ends it
  SplitOptions split;
  ingest::IngestOptions ingest;    ///< its vocabulary is made here
  bool whole_token_files = false;  ///< a file of token ids without an end token is one document; else it is refused
  bool write_train_text = false;   ///< train.txt beside heldout.txt, for the primed compressor
  int threads = 1;
  std::int64_t shard_tokens = std::int64_t{1} << 26;  ///< a shard is closed when it reaches this (128 MiB of u16; it is built in memory)
};

struct PrepareProgress {
  std::string phase;                 ///< "reading", "training the vocabulary", "encoding", "verifying"
  std::int64_t done = 0, total = 0;  ///< bytes of text files; total 0 = unknown
};

struct PrepareResult {
  Manifest manifest;
  bool reused = false;
};

/// @throws UsageError unless there is either a vocabulary to load or one to train
void check_vocabulary(const PrepareOptions& options);

/// options.ingest with what sources of token ids need of the vocabulary, which must outlive it. @throws UsageError of Tokenizer::framing()
ingest::IngestOptions ingest_options(const PrepareOptions& options, const std::optional<tokenizer::Tokenizer>& loaded);

/// @throws UsageError for options that contradict each other, DataError for the files' faults; nothing is left half-made
PrepareResult prepare_dataset(const PrepareOptions& options, const std::function<void(const PrepareProgress&)>& progress = {});

}  // namespace longhaul::data
