// program/arrangement.h — which elements of which tensors lie where in a buffer, and how a buffer's tensors are dealt out to the ranks of a
// group: in the numerics contract's blocks, so that the norm of a block and the hash of a block are one rank's.
//
// Elements are those of the tensor-parallel shard of the logical tensor: of the tensor itself where tp = 1.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

namespace longhaul::program {

/// Blocks of a tensor over which squares and hashes are taken (numerics contract, Norms); ZeRO's pieces are whole blocks.
inline constexpr std::int64_t kBlockElements = 65536;

/// Elements [begin, end) of a tensor, one after the other from `offset` on.
struct Placed {
  int tensor = 0;     ///< index in the ParamTable
  bool head = false;  ///< of a tied embedding, what belongs to the head: its own accumulator, or its copy on another pipeline rank
  std::int64_t offset = 0;
  std::int64_t begin = 0, end = 0;
  std::int64_t count() const { return end - begin; }
};

/// What a buffer holds, by rising offset.
class Arrangement {
 public:
  void add(const Placed& placed) {
    if (placed.count() > 0) placed_.push_back(placed);
  }
  const std::vector<Placed>& placed() const { return placed_; }
  /// Where element `begin` of the tensor lies; null where the buffer does not hold it.
  const Placed* find(int tensor, bool head, std::int64_t element = 0) const;
  /// Offset after the last element.
  std::int64_t end() const { return placed_.empty() ? 0 : placed_.back().offset + placed_.back().count(); }

 private:
  std::vector<Placed> placed_;
};

/// One contract block of a tensor, or the part of it that a range of a buffer holds.
struct Block {
  int tensor = 0;
  bool head = false;
  std::int64_t index = 0;   ///< of the block in its tensor
  std::int64_t offset = 0;  ///< in the buffer
  std::int64_t count = 0;
};
/// The blocks of what lies in [begin, end) of the buffer. @param size  elements of a block
std::vector<Block> blocks_of(const Arrangement& arrangement, std::int64_t size, std::int64_t begin, std::int64_t end);

/// Where the pieces of `parts` owners begin, and the end: each piece is whole blocks, its begin the first block's that does not begin
/// before an even share of the elements, so that no piece is larger than an even share by more than a block. A piece may be empty.
std::vector<std::int64_t> cuts_of(const Arrangement& arrangement, std::int64_t size, int parts);
/// The same of what lies in [begin, end) of the buffer.
std::vector<std::int64_t> cuts_of(const Arrangement& arrangement, std::int64_t size, int parts, std::int64_t begin, std::int64_t end);

/// What lies in [begin, end), moved so that `begin` comes to `base`.
Arrangement cut_out(const Arrangement& arrangement, std::int64_t begin, std::int64_t end, std::int64_t base);

}  // namespace longhaul::program
