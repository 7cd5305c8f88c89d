// tokenizer/piece_counts.h — how often each distinct piece occurs, which is all that BPE training reads from a text.
//
// An open-addressed table over bytes kept once, end to end; about 40 bytes a distinct piece in addition to its own. Tables of several
// threads are added up; sums of integers do not depend on the division among threads.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/cutter.h"
#include "tokenizer/pretokenizer.h"

namespace longhaul::tokenizer {

class PieceCounts {
 public:
  struct Entry {
    std::uint64_t hash = 0, begin = 0, count = 0;  // count == 0: empty
    std::uint32_t length = 0;
  };

  /// Counts the pieces of one document; bytes that are not UTF-8 count as U+FFFD. The pattern is the same in all calls.
  void add_document(const Pattern& pattern, std::string_view text);
  void add(std::string_view piece, std::uint64_t count);
  void add_all(const PieceCounts& other);

  std::size_t size() const { return size_; }
  std::string_view piece(const Entry& entry) const { return std::string_view(bytes_).substr(entry.begin, entry.length); }

  /// Calls visit(piece, count) for each distinct piece, in no particular order.
  template <typename Visit>
  void for_each(Visit visit) const {
    for (const Entry& entry : slots_) {
      if (entry.count != 0) visit(piece(entry), entry.count);
    }
  }

 private:
  void grow();

  std::vector<Entry> slots_ = std::vector<Entry>(1024);  // a power of two, at most half full
  std::string bytes_;
  std::size_t size_ = 0;
  std::optional<Cutter> cutter_;  // of a pattern that has no scanner
};

}  // namespace longhaul::tokenizer
