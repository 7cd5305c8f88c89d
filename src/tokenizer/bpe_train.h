// tokenizer/bpe_train.h — learning a byte-pair vocabulary from text.
//
// Starts from the 256 bytes and merges, again and again, the adjacent pair that occurs most often inside pieces; ties go to the
// smallest (left id, right id), so that the result is a function of the documents alone: not of threads, order of documents or
// hash seeds. Counts have 64 bits (32 overflow above 2 billion pairs, a few gigabytes of text). Merges equal rustbpe's.
//
// Cost: distinct pieces are counted once (threads share that part); an index from pairs to the pieces that hold them and a heap
// with lazy correction make the cost of a merge that of its changes. Memory: the distinct pieces, not the text.
//
// Ids: byte b is b, merge k is 256 + k, <|endoftext|> is last.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "tokenizer/tokenizer.h"

namespace longhaul::tokenizer {

/// Where training is; called about ten times a second from the calling thread.
struct TrainProgress {
  std::uint64_t bytes_read = 0;   ///< of text, so far
  std::int32_t entries = 0;       ///< of the vocabulary, so far; 0 while text is being read
  std::int32_t entries_goal = 0;  ///< vocab_size
};

struct BpeTrainOptions {
  std::int32_t vocab_size = 32000;  ///< with the 256 bytes and <|endoftext|>: 257 ..= 16,777,216
  Pattern pattern = Pattern::gpt2;
  int threads = 1;                                        ///< for reading; never reaches the result
  std::function<void(const TrainProgress&)> on_progress;  ///< may be empty
};

/// Hands out one document after another: fills `document` and returns true, or returns false at the end. Called under a lock, by
/// one thread at a time. Bytes that are not UTF-8 count as U+FFFD.
using DocumentStream = std::function<bool(std::string& document)>;

/// @return             a tokenizer with vocab_size entries, or fewer when no pair is left to merge: compare vocab_size()
/// @throws UsageError  vocab_size out of range
/// @throws DataError   no text at all
Tokenizer train_bpe(const DocumentStream& next_document, const BpeTrainOptions& options);

}  // namespace longhaul::tokenizer
