#include "program/figures.h"

namespace longhaul::program {

Figures::Figures(const model::ParamTable& table, int leaves, std::int64_t block, bool tied) : leaves_(leaves) {
  for (const model::ParamTensor& tensor : table.tensors()) {
    if (tied && tensor.role == model::Role::token_embedding) tied_ = static_cast<int>(first_.size());
    first_.push_back(blocks_);
    blocks_ += (tensor.count + block - 1) / block;
  }
  first_.push_back(blocks_);
  if (tied_ >= 0) head_blocks_ = blocks(tied_);
  count_ = blocks_ + leaves_;
  if (leaves_ > 1) count_ += leaves_ * leaf_blocks() + 2 * head_blocks_;
}

std::int64_t Figures::leaf_block(int of_leaf, const Block& block) const {
  return leaf(of_leaf) + (block.head ? blocks_ : norm(block.tensor)) + block.index;
}

std::int64_t Figures::tied_block(const Block& block) const { return leaf(leaves_) + (block.head ? head_blocks_ : 0) + block.index; }

}  // namespace longhaul::program
