#include "program/arrangement.h"

#include <algorithm>

namespace longhaul::program {

const Placed* Arrangement::find(int tensor, bool head, std::int64_t element) const {
  for (const Placed& placed : placed_)
    if (placed.tensor == tensor && placed.head == head && placed.begin <= element && element < placed.end) return &placed;
  return nullptr;
}

std::vector<Block> blocks_of(const Arrangement& arrangement, std::int64_t size, std::int64_t begin, std::int64_t end) {
  std::vector<Block> out;
  for (const Placed& placed : arrangement.placed()) {
    const std::int64_t first = std::max(placed.offset, begin), last = std::min(placed.offset + placed.count(), end);
    for (std::int64_t at = first; at < last;) {
      const std::int64_t element = placed.begin + at - placed.offset, index = element / size;
      const std::int64_t count = std::min(last - at, (index + 1) * size - element);
      out.push_back({placed.tensor, placed.head, index, at, count});
      at += count;
    }
  }
  return out;
}

std::vector<std::int64_t> cuts_of(const Arrangement& arrangement, std::int64_t size, int parts) {
  return cuts_of(arrangement, size, parts, 0, arrangement.end());
}

std::vector<std::int64_t> cuts_of(const Arrangement& arrangement, std::int64_t size, int parts, std::int64_t begin, std::int64_t end) {
  const std::vector<Block> blocks = blocks_of(arrangement, size, begin, end);
  std::int64_t elements = 0;
  for (const Block& block : blocks) elements += block.count;
  std::vector<std::int64_t> cuts = {begin};
  std::int64_t before = 0;  // elements of the blocks passed
  auto block = blocks.begin();
  for (int part = 1; part < parts; ++part) {
    for (; block != blocks.end() && before * parts < elements * part; ++block) before += block->count;
    cuts.push_back(block == blocks.end() ? end : block->offset);
  }
  cuts.push_back(end);
  return cuts;
}

Arrangement cut_out(const Arrangement& arrangement, std::int64_t begin, std::int64_t end, std::int64_t base) {
  Arrangement out;
  for (const Placed& placed : arrangement.placed()) {
    const std::int64_t first = std::max(placed.offset, begin), last = std::min(placed.offset + placed.count(), end);
    if (first < last)
      out.add(
          {placed.tensor, placed.head, base + first - begin, placed.begin + first - placed.offset, placed.begin + last - placed.offset});
  }
  return out;
}

}  // namespace longhaul::program
