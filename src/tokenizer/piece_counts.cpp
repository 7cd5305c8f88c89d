#include "tokenizer/piece_counts.h"

#include <xxhash.h>

#include "tokenizer/category_scan.h"
#include "units/error.h"
#include "units/utf8.h"

namespace longhaul::tokenizer {
namespace {

template <typename Scanner>
void count_pieces(Scanner piece, PieceCounts& counts, std::string_view text) {
  const char* const end = text.data() + text.size();
  for (const char* p = text.data(); p < end;) {
    const char* const stop = piece(p, end);
    counts.add({p, static_cast<std::size_t>(stop - p)}, 1);
    p = stop;
  }
}

}  // namespace

void PieceCounts::add_document(const Pattern& pattern, std::string_view text) {
  std::string repaired;
  if (first_invalid_utf8(text)) {
    repaired = replace_invalid_utf8(text);
    text = repaired;
  }
  if (scan::is_scanned(pattern.kind())) {
    return scan::with_scanner(pattern.kind(), [&](auto piece) { count_pieces(piece, *this, text); });
  }
  if (!cutter_) cutter_.emplace(std::make_shared<const CompiledPattern>(pattern, "--pattern"));
  for (const Range& piece : cutter_->cut(text)) add(text.substr(piece.begin, piece.end - piece.begin), 1);
}

void PieceCounts::add(std::string_view piece, std::uint64_t count) {
  if (piece.size() > UINT32_MAX) throw DataError("a document has a run of more than 4 GiB without a break; allowed: less");
  const std::uint64_t hash = XXH3_64bits(piece.data(), piece.size());
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t i = hash & mask;; i = (i + 1) & mask) {
    Entry& entry = slots_[i];
    if (entry.count == 0) {
      entry = {hash, bytes_.size(), count, static_cast<std::uint32_t>(piece.size())};
      bytes_.append(piece);
      if (2 * ++size_ > slots_.size()) grow();
      return;
    }
    if (entry.hash == hash && this->piece(entry) == piece) {
      entry.count += count;
      return;
    }
  }
}

void PieceCounts::add_all(const PieceCounts& other) {
  other.for_each([this](std::string_view piece, std::uint64_t count) { add(piece, count); });
}

void PieceCounts::grow() {
  std::vector<Entry> larger(2 * slots_.size());
  const std::size_t mask = larger.size() - 1;
  for (const Entry& entry : slots_) {
    if (entry.count == 0) continue;
    std::size_t i = entry.hash & mask;
    while (larger[i].count != 0) i = (i + 1) & mask;
    larger[i] = entry;
  }
  slots_ = std::move(larger);
}

}  // namespace longhaul::tokenizer
