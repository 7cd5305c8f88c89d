// program/figures.h — the doubles of a step that every rank needs and one of them has: squares of the contract's blocks, losses of leaves.
//
// Each has a place in one list, the same on every rank, so that all add them up in the contract's order: the squares of the reduced
// gradient's blocks, tensors in ParamTable order; the losses of the leaves; and, where there are several leaves, the squares of each leaf's
// blocks, for the gradient noise scale. There a tied embedding counts as its two accumulators (their sum exists once, of the whole batch),
// so a leaf has its head's blocks after the others, and the reduced accumulators of embedding and head have theirs.
#pragma once

#include <cstdint>
#include <vector>

#include "model/param_table.h"
#include "program/arrangement.h"

namespace longhaul::program {

/// On its way a figure is its place and its value.
inline constexpr std::int64_t kFigureBytes = 16;

class Figures {
 public:
  /// @param leaves  of the whole batch  @param block  elements
  Figures(const model::ParamTable& table, int leaves, std::int64_t block, bool tied);

  std::int64_t count() const { return count_; }
  int leaves() const { return leaves_; }
  /// Places of a tensor's blocks in the norm: the first, and how many.
  std::int64_t norm(int tensor) const { return first_[static_cast<std::size_t>(tensor)]; }
  std::int64_t blocks(int tensor) const { return first_[static_cast<std::size_t>(tensor) + 1] - first_[static_cast<std::size_t>(tensor)]; }
  std::int64_t loss(int leaf) const { return blocks_ + leaf; }
  /// Of a leaf: count of its blocks (the head's accumulator last), the first one's place, and the place of a block.
  std::int64_t leaf_blocks() const { return blocks_ + head_blocks_; }
  std::int64_t leaf(int leaf) const { return blocks_ + leaves_ + leaf * leaf_blocks(); }
  std::int64_t leaf_block(int leaf, const Block& block) const;
  /// Of the reduced gradient's two accumulators of a tied embedding.
  std::int64_t tied_block(const Block& block) const;
  int tied_tensor() const { return tied_; }  ///< −1 without one
  std::int64_t tied_blocks() const { return head_blocks_; }

 private:
  std::vector<std::int64_t> first_;  ///< by tensor, and the end
  std::int64_t blocks_ = 0, head_blocks_ = 0, count_ = 0;
  int leaves_ = 1, tied_ = -1;
};

}  // namespace longhaul::program
