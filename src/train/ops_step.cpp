// Gradient leaves and their tree, the global norm, the update.
#include <algorithm>
#include <cmath>

#include "kernels/elementary/elementary64.h"
#include "kernels/optimizer/optimizer.h"
#include "kernels/rows/rows.h"
#include "train/handlers.h"

namespace longhaul::train {

namespace {

kernels::AdamWScalars rounded(const UpdateScalars& s, bool decays) {
  const double t = static_cast<double>(s.applied);
  kernels::AdamWScalars out{};
  out.beta1 = static_cast<float>(s.beta1);
  out.one_minus_beta1 = static_cast<float>(1 - s.beta1);
  out.beta2 = static_cast<float>(s.beta2);
  out.one_minus_beta2 = static_cast<float>(1 - s.beta2);
  out.bias1 = static_cast<float>(1 / (1 - kernels::pow64(s.beta1, t)));
  out.bias2 = static_cast<float>(1 / (1 - kernels::pow64(s.beta2, t)));
  out.learning_rate = static_cast<float>(s.learning_rate);
  out.decay = decays ? static_cast<float>(s.learning_rate * s.weight_decay) : 0.0F;
  out.epsilon = static_cast<float>(s.epsilon);
  out.clip_scale = static_cast<float>(s.clip_scale);
  return out;
}

}  // namespace

void OperationHandlers::leaf_begin(Executor& executor, const Op& op) {
  const Frame f(executor, op);
  kernels::zero(f.context(), f.f32(Slot::gradients), executor.program_.buffers[op.at(Slot::gradients)].elements);
}

void OperationHandlers::leaf_combine(Executor& executor, const Op& op) {
  const program::BufferId left = op.at(Slot::gradients);
  const std::int64_t elements = executor.program_.buffers[left].elements;
  combine_subtrees(executor, {executor.get<float>(op, Slot::gradients), op.left},
                   {executor.get<float>(op, Slot::other_gradients), op.right}, left, 0, elements);
}

/// One node of the tree: left += right. Where a part is one leaf, its squares are figures of the step.
/// @param buffer  one that holds the same tensors, of which this is [begin, end)
void OperationHandlers::combine_subtrees(Executor& executor, const Subtree& left, const Subtree& right, program::BufferId buffer,
                                         std::int64_t begin, std::int64_t end) {
  const kernels::Context& context = executor.machine_.context;
  if (left.leaves.count != 1 && right.leaves.count != 1) return kernels::add_into(context, left.gradients, right.gradients, end - begin);
  const std::vector<program::Block> blocks =
      program::blocks_of(executor.program_.arrangement_of(buffer), executor.program_.block, begin, end);
  std::vector<kernels::Block> ranges;
  for (const program::Block& block : blocks) ranges.push_back({block.offset - begin, block.count});
  std::vector<double> of_left(blocks.size()), of_right(blocks.size());
  kernels::add_leaves(context, left.gradients, right.gradients, ranges, of_left.data(), of_right.data());
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    if (left.leaves.count == 1) executor.set_figure(executor.places_.leaf_block(left.leaves.first, blocks[i]), of_left[i]);
    if (right.leaves.count == 1) executor.set_figure(executor.places_.leaf_block(right.leaves.first, blocks[i]), of_right[i]);
  }
}

/// The squares of a tied embedding's two accumulators, of what this rank answers for, before one is added to the other.
void OperationHandlers::tied_squares(Executor& executor, program::BufferId embedding, program::BufferId head) {
  if (executor.places_.leaves() == 1) return;
  for (const program::Owned& owned : executor.program_.owned) {
    if (owned.buffer != embedding && owned.buffer != head) continue;
    const program::Arrangement& arrangement = executor.program_.arrangement_of(owned.buffer);
    for (const program::Block& block : program::blocks_of(arrangement, executor.program_.block, owned.begin, owned.end))
      if (block.tensor == executor.places_.tied_tensor()) {
        const kernels::Block range{block.offset, block.count};
        double squares = 0;
        kernels::squares_of_blocks(executor.machine_.context, reinterpret_cast<const float*>(executor.address(owned.buffer)), {&range, 1},
                                   &squares);
        executor.set_figure(executor.places_.tied_block(block), squares);
      }
  }
}

void OperationHandlers::tied_combine(Executor& executor, const Op& op) {
  const Frame f(executor, op);
  const program::BufferId embedding = op.at(Slot::gradients);
  const program::BufferId head = op.has(Slot::other_gradients) ? op.at(Slot::other_gradients) : embedding;
  tied_squares(executor, embedding, head);
  for (const program::Placed& placed : executor.program_.arrangement_of(embedding).placed())
    if (placed.tensor == executor.places_.tied_tensor() && !placed.head)
      kernels::add_into(f.context(), executor.find<float>(embedding, placed.tensor, false, placed.begin),
                        executor.find<float>(head, placed.tensor, true, placed.begin), placed.count());
}

/// Of what this rank answers for; the copy and the accumulator of a tied head are the embedding's.
void OperationHandlers::gradient_norm(Executor& executor, const Op& op) {
  const Frame f(executor, op);
  for (const program::Owned& owned : executor.program_.owned) {
    std::vector<program::Block> blocks =
        program::blocks_of(executor.program_.arrangement_of(owned.buffer), executor.program_.block, owned.begin, owned.end);
    std::erase_if(blocks, [](const program::Block& block) { return block.head; });
    std::vector<kernels::Block> ranges;
    for (const program::Block& block : blocks) ranges.push_back({block.offset, block.count});
    std::vector<double> squares(blocks.size());
    kernels::squares_of_blocks(f.context(), reinterpret_cast<const float*>(executor.address(owned.buffer)), ranges, squares.data());
    for (std::size_t i = 0; i < blocks.size(); ++i)
      executor.set_figure(executor.places_.norm(blocks[i].tensor) + blocks[i].index, squares[i]);
  }
}

/// Every piece whose moments this rank has.
void OperationHandlers::update(Executor& executor, const Op& op) {
  const Frame f(executor, op);
  const UpdateScalars& s = executor.scalars_;
  const program::BufferId moments = op.at(Slot::moment1);
  for (const program::Placed& placed : executor.program_.arrangement_of(moments).placed()) {
    const auto at = [&](Slot slot, bool head) -> float* {
      for (const program::BufferUse& use : op.uses)
        if (use.slot == slot)
          if (float* found = executor.find<float>(use.buffer, placed.tensor, head, placed.begin)) return found;
      return nullptr;
    };
    float *weights = at(Slot::weights, placed.head), *average = at(Slot::average, placed.head);
    kernels::bf16* operand = op.has(Slot::operand_weights)
                                 ? executor.find<kernels::bf16>(op.at(Slot::operand_weights), placed.tensor, false, placed.begin)
                                 : nullptr;
    const kernels::AdamWScalars scalars = rounded(s, f.machine().table.tensors()[static_cast<std::size_t>(placed.tensor)].decays);
    const auto with = [&](auto update, auto... more) {
      return update(f.context(), scalars, weights, at(Slot::moment1, placed.head), at(Slot::moment2, placed.head),
                    at(Slot::gradients, placed.head), operand, average, static_cast<float>(s.average_beta),
                    static_cast<float>(1 - s.average_beta), placed.count(), more...);
    };
    if (executor.update_norms_) {
      std::int64_t block = placed.begin / executor.program_.block;
      for (const kernels::UpdateSquares& squares : with(kernels::adamw_measured, executor.program_.block))
        if (!placed.head) executor.update_norms_->push_back({placed.tensor, block++, squares});
    } else {
      with(kernels::adamw);
    }
    if (float* vector = at(Slot::vectors, placed.head)) std::copy_n(weights, placed.count(), vector);
  }
}

/// Of the pieces of the weights that this rank has.
void OperationHandlers::refresh_operands(Executor& executor, const Op& op) {
  const Frame f(executor, op);
  const program::BufferId weights = op.at(Slot::weights), operands = op.at(Slot::operand_weights);
  for (const program::Placed& placed : executor.program_.arrangement_of(weights).placed()) {
    const float* from = executor.find<float>(weights, placed.tensor, placed.head, placed.begin);
    if (auto* to = executor.find<kernels::bf16>(operands, placed.tensor, false, placed.begin))
      kernels::round_to_operand(f.context(), from, to, placed.count());
    if (!op.has(Slot::vectors)) continue;
    if (float* to = executor.find<float>(op.at(Slot::vectors), placed.tensor, placed.head, placed.begin))
      std::copy_n(from, placed.count(), to);
  }
}

}  // namespace longhaul::train
