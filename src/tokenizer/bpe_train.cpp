#include "tokenizer/bpe_train.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <mutex>
#include <queue>
#include <thread>
#include <unordered_map>

#include "tokenizer/bpe_tables.h"
#include "tokenizer/piece_counts.h"
#include "units/error.h"

namespace longhaul::tokenizer {
namespace {

constexpr std::int32_t kBytes = 256;
constexpr std::size_t kBatchBytes = 256 << 10;  // handed to a thread at once: milliseconds of work per lock

// Calls on_progress at most ten times a second.
class ProgressClock {
 public:
  explicit ProgressClock(const BpeTrainOptions& options) : options_(options) {}
  void report(std::uint64_t bytes, std::int32_t entries) {
    const auto now = std::chrono::steady_clock::now();
    if (!options_.on_progress || now < next_) return;
    next_ = now + std::chrono::milliseconds(100);
    options_.on_progress({bytes, entries, options_.vocab_size});
  }

 private:
  const BpeTrainOptions& options_;
  std::chrono::steady_clock::time_point next_ = std::chrono::steady_clock::now();
};

// The first part: several threads count the pieces of the documents, each in a table of its own.
class Counter {
 public:
  Counter(const DocumentStream& next_document, const BpeTrainOptions& options, ProgressClock& clock)
      : next_document_(next_document), options_(options), clock_(clock) {}

  PieceCounts run() {
    std::vector<PieceCounts> counts(static_cast<std::size_t>(std::max(1, options_.threads)));
    std::vector<std::thread> threads;
    for (std::size_t i = 1; i < counts.size(); ++i) threads.emplace_back([&, i] { work(counts[i], false); });
    work(counts[0], true);
    for (std::thread& thread : threads) thread.join();
    if (failure_) std::rethrow_exception(failure_);
    for (std::size_t i = 1; i < counts.size(); ++i) counts[0].add_all(counts[i]);
    return std::move(counts[0]);
  }

  std::uint64_t bytes() const { return bytes_; }

 private:
  void work(PieceCounts& counts, bool reports) {
    try {
      for (std::vector<std::string> batch = next_batch(); !batch.empty(); batch = next_batch()) {
        for (const std::string& document : batch) counts.add_document(options_.pattern, document);
        if (reports) clock_.report(bytes_, 0);
      }
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
      at_end_ = true;
    }
  }

  std::vector<std::string> next_batch() {
    std::vector<std::string> batch;
    const std::lock_guard lock(mutex_);
    for (std::size_t size = 0; !at_end_ && size < kBatchBytes;) {
      std::string document;
      at_end_ = !next_document_(document);
      if (at_end_) break;
      size += document.size() + 1;
      bytes_ += document.size();
      batch.push_back(std::move(document));
    }
    return batch;
  }

  const DocumentStream& next_document_;
  const BpeTrainOptions& options_;
  ProgressClock& clock_;
  std::mutex mutex_;
  bool at_end_ = false;
  std::exception_ptr failure_;
  std::atomic<std::uint64_t> bytes_ = 0;
};

struct Word {
  std::uint64_t count;
  std::uint64_t begin;
  std::uint32_t length;
};

struct Pair {
  std::int32_t left, right;
  std::uint64_t count = 0;
  std::int32_t touched = -1;         // the merge that last raised the count
  std::vector<std::uint32_t> words;  // that hold the pair, or did
};

struct Candidate {
  std::uint64_t count;
  std::int32_t left, right;
  std::uint32_t pair;
  // The queue's top is the largest: more occurrences first, then the smaller ids.
  bool operator<(const Candidate& other) const {
    if (count != other.count) return count < other.count;
    return std::pair(left, right) > std::pair(other.left, other.right);
  }
};

// The second part: merges. Words are the distinct pieces of at least two bytes, as token ids that shrink in place.
class Merger {
 public:
  Merger(const PieceCounts& counts, const BpeTrainOptions& options) : options_(options) {
    counts.for_each([this](std::string_view piece, std::uint64_t count) {
      if (piece.size() < 2) return;
      words_.push_back({count, symbols_.size(), static_cast<std::uint32_t>(piece.size())});
      for (const char byte : piece) symbols_.push_back(static_cast<unsigned char>(byte));
    });
    if (words_.size() > UINT32_MAX) throw DataError("more than 4 billion distinct pieces; allowed: fewer");
    for (int byte = 0; byte < kBytes; ++byte) {
      tokens_.emplace_back(1, static_cast<char>(byte));
      ids_.emplace(tokens_.back(), byte);
    }
    for (std::uint32_t w = 0; w < words_.size(); ++w) {
      const std::int32_t* const symbols = symbols_.data() + words_[w].begin;
      for (std::uint32_t i = 0; i + 1 < words_[w].length; ++i) raise(symbols[i], symbols[i + 1], w);
    }
    queue_touched();
  }

  TokenizerParts run(ProgressClock& clock, std::uint64_t bytes) {
    while (static_cast<std::int32_t>(tokens_.size()) + 1 < options_.vocab_size && !queue_.empty()) {
      const Candidate best = queue_.top();
      queue_.pop();
      const std::uint64_t count = pairs_[best.pair].count;
      if (count == best.count) {
        merge(best.pair);
        clock.report(bytes, static_cast<std::int32_t>(tokens_.size()));
      } else if (count > 0) {
        queue_.push({count, best.left, best.right, best.pair});  // it has lost some since; counts only rise in the merge that queues them
      }
    }
    TokenizerParts parts;
    parts.pattern = options_.pattern;
    parts.specials = {{"<|endoftext|>", static_cast<std::int32_t>(tokens_.size())}};
    parts.tokens = std::move(tokens_);
    parts.merges = std::move(merges_);
    parts.origin = "trained vocabulary";
    return parts;
  }

 private:
  void merge(std::uint32_t pair_index) {
    const std::int32_t left = pairs_[pair_index].left, right = pairs_[pair_index].right;
    const std::int32_t merged = token_for(tokens_[static_cast<std::size_t>(left)] + tokens_[static_cast<std::size_t>(right)]);
    merges_.push_back({left, right, merged});
    const std::vector<std::uint32_t> words = std::move(pairs_[pair_index].words);
    for (const std::uint32_t w : words) merge_in(w, left, right, merged);
    queue_touched();
  }

  // Bytes that another pair has made already keep their id (as in Hugging Face's trainer): a second one could never be told apart.
  std::int32_t token_for(std::string bytes) {
    const auto [found, is_new] = ids_.emplace(std::move(bytes), static_cast<std::int32_t>(tokens_.size()));
    if (is_new) tokens_.push_back(found->first);
    return found->second;
  }

  void merge_in(std::uint32_t w, std::int32_t left, std::int32_t right, std::int32_t merged) {
    Word& word = words_[w];
    std::int32_t* const symbols = symbols_.data() + word.begin;
    std::uint32_t kept = 0;
    for (std::uint32_t i = 0; i < word.length; ++kept) {
      if (i + 1 == word.length || symbols[i] != left || symbols[i + 1] != right) {
        symbols[kept] = symbols[i++];
        continue;
      }
      lower(left, right, word.count);
      if (kept > 0) {
        lower(symbols[kept - 1], left, word.count);
        raise(symbols[kept - 1], merged, w);
      }
      if (i + 2 < word.length) {
        lower(right, symbols[i + 2], word.count);
        raise(merged, symbols[i + 2], w);
      }
      symbols[kept] = merged;
      i += 2;
    }
    word.length = kept;
  }

  void raise(std::int32_t left, std::int32_t right, std::uint32_t w) {
    const std::uint32_t index = pair_index(left, right);
    Pair& pair = pairs_[index];
    pair.count += words_[w].count;
    if (pair.words.empty() || pair.words.back() != w) pair.words.push_back(w);
    const auto now = static_cast<std::int32_t>(merges_.size());
    if (pair.touched != now) touched_.push_back(index);
    pair.touched = now;
  }

  void lower(std::int32_t left, std::int32_t right, std::uint64_t count) { pairs_[pair_index(left, right)].count -= count; }

  void queue_touched() {
    for (const std::uint32_t index : touched_) {
      const Pair& pair = pairs_[index];
      if (pair.count > 0) queue_.push({pair.count, pair.left, pair.right, index});
    }
    touched_.clear();
  }

  // Index of a pair in pairs_, made if new. Open addressing, at most half full; the product's upper bits choose the slot.
  std::uint32_t pair_index(std::int32_t left, std::int32_t right) {
    if (2 * pairs_.size() >= slots_.size()) grow();
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t i = slot_of(left, right);; i = (i + 1) & mask) {
      if (slots_[i] == kEmpty) {
        slots_[i] = static_cast<std::uint32_t>(pairs_.size());
        pairs_.push_back({left, right, 0, -1, {}});
        return slots_[i];
      }
      if (pairs_[slots_[i]].left == left && pairs_[slots_[i]].right == right) return slots_[i];
    }
  }

  std::size_t slot_of(std::int32_t left, std::int32_t right) const {
    const std::uint64_t key = static_cast<std::uint64_t>(left) << 32 | static_cast<std::uint32_t>(right);
    return ((key ^ (key >> 29)) * 0x9E3779B97F4A7C15u >> 20) & (slots_.size() - 1);
  }

  void grow() {
    slots_.assign(std::max<std::size_t>(2 * slots_.size(), 1 << 16), kEmpty);
    for (std::uint32_t index = 0; index < pairs_.size(); ++index) {
      std::size_t i = slot_of(pairs_[index].left, pairs_[index].right);
      while (slots_[i] != kEmpty) i = (i + 1) & (slots_.size() - 1);
      slots_[i] = index;
    }
  }

  static constexpr std::uint32_t kEmpty = UINT32_MAX;
  const BpeTrainOptions& options_;
  std::vector<std::int32_t> symbols_;
  std::vector<Word> words_;
  std::vector<Pair> pairs_;
  std::vector<std::uint32_t> slots_;
  std::vector<std::uint32_t> touched_;
  std::priority_queue<Candidate> queue_;
  std::vector<std::string> tokens_;
  std::unordered_map<std::string, std::int32_t> ids_;
  std::vector<Merge> merges_;
};

}  // namespace

Tokenizer train_bpe(const DocumentStream& next_document, const BpeTrainOptions& options) {
  if (options.vocab_size <= kBytes || options.vocab_size > kMaxVocabulary) {
    throw UsageError(
        fmt::format("vocabulary size {}; allowed: {} (the bytes and <|endoftext|>) to {}", options.vocab_size, kBytes + 1, kMaxVocabulary));
  }
  ProgressClock clock(options);
  Counter counter(next_document, options, clock);
  const PieceCounts counts = counter.run();
  if (counts.size() == 0) throw DataError("no text to train a vocabulary on: every document is empty");
  return Tokenizer(Merger(counts, options).run(clock, counter.bytes()));
}

}  // namespace longhaul::tokenizer
