#include "train/executor.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <chrono>

#include "units/error.h"

namespace longhaul::train {
namespace {

/// The tree over leaves (numerics contract): splits at the largest power of two below n, left part first.
double tree_sum(const double* values, std::size_t count) {
  if (count == 0) return 0;
  if (count == 1) return values[0];
  const std::size_t left = std::bit_floor(count - 1);  // largest power of two below count
  return tree_sum(values, left) + tree_sum(values + left, count - left);
}

}  // namespace

std::map<std::string, double> seconds_by_name(const Executor& executor) {
  std::map<std::string, double> seconds;
  for (std::size_t i = 0; i < executor.seconds().size(); ++i)
    seconds[program::short_name(executor.program().operations[i])] += executor.seconds()[i];
  return seconds;
}

Executor::Executor(const program::Program& program, const program::BatchPlan& plan, const Machine& machine, HandlerOf handler_of)
    : program_(program), plan_(plan), machine_(machine), handler_of_(handler_of), seconds_(program.operations.size(), 0.0) {
  for (const program::Operation& op : program.operations)
    if (!handler_of(op.kind) || op.transfer.ranks > 1 || op.pass == program::Pass::weight_gradient)
      throw Error(fmt::format("the trainer cannot execute {}: it runs one rank, with whole backward passes", program::id(op)));
  find_leaves();
}

/// Leaves begin in rising order, each in a buffer of its own; a combined buffer holds a leaf no more.
void Executor::find_leaves() {
  using program::OpKind;
  using program::Slot;
  const std::vector<program::Operation>& operations = program_.operations;
  std::map<program::BufferId, int> holds;
  int begun = 0;
  combined_.resize(operations.size());
  for (std::size_t i = 0; i < operations.size(); ++i) {
    const program::Operation& op = operations[i];
    if (op.kind == OpKind::leaf_begin) holds[op.at(Slot::gradients)] = begun++;
    if (op.kind != OpKind::leaf_combine) continue;
    combined_[i] = {holds.at(op.at(Slot::gradients)), holds.at(op.at(Slot::other_gradients))};
    holds[op.at(Slot::gradients)] = -1;
  }
  if (begun < 2) return;
  const bool tied = machine_.table.find(model::Role::head_weight) == nullptr;
  for (const model::ParamTensor& tensor : machine_.table.tensors()) {
    const bool has_second = tied && tensor.role == model::Role::token_embedding;
    kernels::append_norm_blocks(tensor.offset, tensor.count, has_second ? program::head_gradient_offset(machine_.table) : -1, norm_blocks_);
  }
}

/// Leaf v has the v-th of V equal ranges of the batch's sequences.
void Executor::count_leaf_targets() {
  leaves_.assign(static_cast<std::size_t>(plan_.virtual_ranks), {});
  const auto tokens = static_cast<std::ptrdiff_t>(batch_->loss_mask.size() / leaves_.size());
  for (std::size_t v = 0; v < leaves_.size(); ++v) {
    const auto begin = batch_->loss_mask.begin() + static_cast<std::ptrdiff_t>(v) * tokens;
    leaves_[v].targets = std::count(begin, begin + tokens, std::uint8_t{1});
  }
}

std::byte* Executor::address(program::BufferId buffer) const { return machine_.arena->data() + program_.buffers[buffer].offset; }

void Executor::run(program::Phase phase) {
  for (std::size_t i = 0; i < program_.operations.size(); ++i) {
    const program::Operation& op = program_.operations[i];
    if (op.phase != phase) continue;
    for (const program::BufferUse& use : op.uses) {
      const program::Buffer& buffer = program_.buffers[use.buffer];
      machine_.arena->mark_used(Bytes(buffer.offset) + buffer.size());
    }
    const auto start = std::chrono::steady_clock::now();
    handler_of_(op.kind)(*this, op);
    seconds_[i] = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
}

void Executor::bind(const data::Batch& batch) {
  const std::int64_t sequences = plan_.sequences_per_micro_batch * plan_.micro_batches;
  if (batch.sequences != sequences || batch.sequence_length != plan_.sequence_length)
    throw Error("the batch is not of the shape that the program was built for");
  batch_ = &batch;
  targets_ = batch.target_tokens;
}

LossSum Executor::gradients(const data::Batch& batch) {
  bind(batch);
  leaf_loss_.assign(static_cast<std::size_t>(plan_.virtual_ranks), 0.0);
  count_leaf_targets();
  run(program::Phase::gradients);
  return {tree_sum(leaf_loss_.data(), leaf_loss_.size()), targets_};
}

/// Each target's loss is fp32; a leaf sums its own in fp64 in token order, the tree adds the leaves (numerics contract).
void Executor::add_losses(const program::Operation& op, const float* token_loss) {
  const int per_leaf = plan_.micro_batches / plan_.virtual_ranks;
  double& leaf = leaf_loss_[static_cast<std::size_t>(op.micro_batch / per_leaf)];
  for (std::int64_t i = 0; i < plan_.tokens_per_micro_batch(); ++i) leaf += static_cast<double>(token_loss[i]);
}

double Executor::gradient_norm() {
  run(program::Phase::norm);
  return norm_;
}

void Executor::update(const UpdateScalars& scalars, UpdateNorms* norms) {
  scalars_ = scalars;
  update_norms_ = norms;
  run(program::Phase::update);
  update_norms_ = nullptr;
}

const float* Executor::evaluate(const data::Batch& batch) {
  bind(batch);
  run(program::Phase::gradients);
  return get<const float>(program_.operations.back(), program::Slot::token_loss);
}

const void* Executor::forward(const data::Batch& batch) {
  bind(batch);
  run(program::Phase::gradients);
  return get<const void>(program_.operations.back(), program::Slot::y);
}

const float* Executor::reduced_gradient() const {
  for (const program::Operation& op : program_.operations)
    if (op.kind == program::OpKind::gradient_norm) return reinterpret_cast<const float*>(address(op.at(program::Slot::gradients)));
  return nullptr;
}

}  // namespace longhaul::train
