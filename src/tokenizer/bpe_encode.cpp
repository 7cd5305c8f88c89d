#include "tokenizer/bpe_encode.h"

#include <algorithm>
#include <functional>

#include "units/error.h"
#include "units/utf8.h"

namespace longhaul::tokenizer {
namespace {

// What merging begins with: the bytes of a piece, or its characters and the bytes of those that have no token.
template <typename Visit>
void for_each_symbol(const BpeTables& tables, std::string_view piece, Visit visit) {
  if (tables.units() == Units::bytes) {
    for (const char byte : piece) visit(tables.byte_id(static_cast<unsigned char>(byte)));
    return;
  }
  for (std::size_t offset = 0; offset < piece.size();) {
    const std::size_t begin = offset;
    next_code_point(piece, offset);
    const std::string_view character = piece.substr(begin, offset - begin);
    if (const std::int32_t id = tables.find(character); id != kNoId) {
      visit(id);
    } else {
      for (const char byte : character) visit(tables.byte_id(static_cast<unsigned char>(byte)));
    }
  }
}

// Where the heap's merging keeps a token: at the position of its first symbol.
struct Node {
  std::int32_t id;
  std::uint32_t previous, next;  // positions; next == number of symbols behind the last
  MergeResult merge;             // with the next node
};

constexpr std::uint32_t kNoNode = UINT32_MAX;

// Rank above position: the smallest entry is the lowest rank and among equals the leftmost.
std::uint64_t heap_entry(std::uint32_t rank, std::uint32_t position) { return static_cast<std::uint64_t>(rank) << 32 | position; }

class HeapMerger {
 public:
  HeapMerger(const BpeTables& tables, std::string_view piece) : tables_(tables) {
    nodes_.reserve(piece.size());
    for_each_symbol(tables, piece, [&](std::int32_t id) {
      nodes_.push_back({id, size_ == 0 ? kNoNode : size_ - 1, size_ + 1, {}}), ++size_;
    });
    heap_.reserve(size_);
    for (std::uint32_t i = 0; i + 1 < size_; ++i) {
      nodes_[i].merge = tables.merge(nodes_[i].id, nodes_[i + 1].id);
      if (nodes_[i].merge.rank != kNoMerge) heap_.push_back(heap_entry(nodes_[i].merge.rank, i));
    }
    std::make_heap(heap_.begin(), heap_.end(), std::greater<>());
  }

  void run() {
    while (!heap_.empty()) {
      std::pop_heap(heap_.begin(), heap_.end(), std::greater<>());
      const std::uint64_t entry = heap_.back();
      heap_.pop_back();
      const auto position = static_cast<std::uint32_t>(entry);
      // A node that was swallowed, or whose pair has changed since, has another rank.
      if (nodes_[position].merge.rank == static_cast<std::uint32_t>(entry >> 32)) merge_at(position);
    }
  }

  void append_to(std::vector<std::int32_t>& ids) const {
    for (std::uint32_t i = 0; i < size_; i = nodes_[i].next) ids.push_back(nodes_[i].id);
  }

 private:
  void merge_at(std::uint32_t position) {
    Node& left = nodes_[position];
    Node& right = nodes_[left.next];
    left.id = left.merge.merged;
    left.next = right.next;
    right.merge = {};
    if (left.next < size_) nodes_[left.next].previous = position;
    update(position);
    if (left.previous != kNoNode) update(left.previous);
  }

  void update(std::uint32_t position) {
    Node& node = nodes_[position];
    node.merge = node.next < size_ ? tables_.merge(node.id, nodes_[node.next].id) : MergeResult{};
    if (node.merge.rank == kNoMerge) return;
    heap_.push_back(heap_entry(node.merge.rank, position));
    std::push_heap(heap_.begin(), heap_.end(), std::greater<>());
  }

  const BpeTables& tables_;
  std::uint32_t size_ = 0;
  std::vector<Node> nodes_;
  std::vector<std::uint64_t> heap_;
};

struct Part {
  std::int32_t id;
  MergeResult merge;  // with the next part
};

}  // namespace

void merge_by_search(const BpeTables& tables, std::string_view piece, std::vector<std::int32_t>& ids) {
  std::vector<Part> long_piece;
  Part short_piece[kSearchedPieceBytes];
  Part* parts = short_piece;
  if (piece.size() > kSearchedPieceBytes) {  // only the test asks for this
    long_piece.resize(piece.size());
    parts = long_piece.data();
  }
  std::size_t count = 0;
  for_each_symbol(tables, piece, [&](std::int32_t id) { parts[count++] = {id, {}}; });
  for (std::size_t i = 0; i + 1 < count; ++i) parts[i].merge = tables.merge(parts[i].id, parts[i + 1].id);
  for (;;) {
    std::size_t best = 0;
    for (std::size_t i = 1; i + 1 < count; ++i) {
      if (parts[i].merge.rank < parts[best].merge.rank) best = i;
    }
    if (parts[best].merge.rank == kNoMerge) break;
    parts[best].id = parts[best].merge.merged;
    std::copy(parts + best + 2, parts + count, parts + best + 1);
    --count;
    parts[best].merge = best + 1 < count ? tables.merge(parts[best].id, parts[best + 1].id) : MergeResult{};
    if (best > 0) parts[best - 1].merge = tables.merge(parts[best - 1].id, parts[best].id);
  }
  for (std::size_t i = 0; i < count; ++i) ids.push_back(parts[i].id);
}

void merge_by_heap(const BpeTables& tables, std::string_view piece, std::vector<std::int32_t>& ids) {
  HeapMerger merger(tables, piece);
  merger.run();
  merger.append_to(ids);
}

void encode_piece(const BpeTables& tables, std::string_view piece, std::vector<std::int32_t>& ids) {
  if (piece.size() >= UINT32_MAX) {
    throw DataError("a document has a run of " + std::to_string(piece.size()) + " bytes without a break; allowed: below 4 GiB");
  }
  if (tables.whole_piece_first() || piece.size() == 1) {
    if (const std::int32_t id = tables.find(piece); id != kNoId) return ids.push_back(id);
  }
  return piece.size() <= kSearchedPieceBytes ? merge_by_search(tables, piece, ids) : merge_by_heap(tables, piece, ids);
}

}  // namespace longhaul::tokenizer
