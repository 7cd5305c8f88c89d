#include "train/executor.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <stdexcept>

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

Executor::Executor(const program::Program& program, const Machine& machine, HandlerOf handler_of)
    : program_(program),
      machine_(machine),
      handler_of_(handler_of),
      seconds_(program.operations.size(), 0.0),
      begins_(program.operations.size(), 0.0),
      places_(machine.table, program.batch.virtual_ranks * program.layout.cp, program.block,
              machine.table.find(model::Role::head_weight) == nullptr),
      figures_(static_cast<std::size_t>(places_.count()), 0.0) {
  for (const program::Operation& op : program.operations)
    if (!handler_of(op.kind)) throw Error(fmt::format("the trainer has no handler for {}", program::id(op)));
}

void Executor::set_figure(std::int64_t place, double value) {
  figures_[static_cast<std::size_t>(place)] = value;
  own_figures_.push_back(place);
}

double Executor::sum_of_figures(std::int64_t first, std::int64_t count) const {
  double sum = 0;
  for (std::int64_t i = first; i < first + count; ++i) sum += figures_[static_cast<std::size_t>(i)];
  return sum;
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
    if (is_transfer(op.kind)) machine_.communicator.at(step_, program::id(op));
    const auto start = std::chrono::steady_clock::now();
    handler_of_(op.kind)(*this, op);
    begins_[i] = std::chrono::duration<double>(start.time_since_epoch()).count();
    seconds_[i] = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
}

void Executor::bind(const data::Batch& batch) {
  const program::BatchPlan& plan = program_.batch;
  const std::int64_t sequences = plan.sequences_per_micro_batch * plan.micro_batches;
  if (batch.sequences != sequences || batch.sequence_length != plan.sequence_length)
    throw Error("the batch is not of the shape that the program was built for");
  batch_ = &batch;
  targets_ = batch.target_tokens;
}

void Executor::gradients(const data::Batch& batch) {
  bind(batch);
  traffic_before_ = machine_.communicator.traffic();
  std::fill(figures_.begin(), figures_.end(), 0.0);
  own_figures_.clear();
  // Leaf v has the v-th of V equal ranges of the batch's sequences.
  leaf_targets_.clear();
  const auto tokens = static_cast<std::ptrdiff_t>(batch.loss_mask.size()) / places_.leaves();
  for (auto begin = batch.loss_mask.begin(); std::ssize(leaf_targets_) < places_.leaves(); begin += tokens)
    leaf_targets_.push_back(std::count(begin, begin + tokens, std::uint8_t{1}));
  run(program::Phase::gradients);
}

double Executor::gradient_norm() {
  run(program::Phase::norm);
  gradient_squares_.clear();
  double sum = 0;
  for (int tensor = 0; tensor < static_cast<int>(machine_.table.tensors().size()); ++tensor) {
    gradient_squares_.push_back(sum_of_figures(places_.norm(tensor), places_.blocks(tensor)));
    sum += gradient_squares_.back();
  }
  return without_sign_of_nan(std::sqrt(sum));
}

std::map<std::string, comm::Traffic> Executor::step_traffic() const {
  std::map<std::string, comm::Traffic> step = traffic_after_;
  for (auto& [channel, traffic] : step)
    if (const auto before = traffic_before_.find(channel); before != traffic_before_.end()) {
      traffic.sent -= before->second.sent;
      traffic.received -= before->second.received;
    }
  return step;
}

LossSum Executor::loss() const {
  const auto first = static_cast<std::size_t>(places_.loss(0));
  return {tree_sum(figures_.data() + first, static_cast<std::size_t>(places_.leaves())), targets_};
}

/// The squares of a leaf are one chain over the blocks of all tensors.
std::vector<LeafGradient> Executor::leaves() const {
  std::vector<LeafGradient> leaves;
  for (int v = 0; v < places_.leaves(); ++v)
    leaves.push_back(
        {places_.leaves() > 1 ? sum_of_figures(places_.leaf(v), places_.leaf_blocks()) : 0, leaf_targets_[static_cast<std::size_t>(v)]});
  return leaves;
}

double Executor::accumulator_squares() const {
  double sum = 0;
  for (int tensor = 0; tensor < static_cast<int>(machine_.table.tensors().size()); ++tensor) {
    const bool tied = tensor == places_.tied_tensor();
    const std::int64_t first = tied ? places_.leaf(places_.leaves()) : places_.norm(tensor);
    sum += sum_of_figures(first, places_.blocks(tensor));
  }
  return sum + sum_of_figures(places_.leaf(places_.leaves()) + places_.tied_blocks(), places_.tied_blocks());
}

void Executor::update(const UpdateScalars& scalars, UpdateNorms* norms) {
  scalars_ = scalars;
  update_norms_ = norms;
  run(program::Phase::update);
  update_norms_ = nullptr;
  traffic_after_ = machine_.communicator.traffic();
}

const float* Executor::evaluate(const data::Batch& batch) {
  bind(batch);
  run(program::Phase::gradients);
  for (const program::Operation& op : program_.operations)
    if (op.kind == program::OpKind::head_loss_evaluate) return get<const float>(op, program::Slot::token_loss);
  return nullptr;
}

const void* Executor::forward(const data::Batch& batch) {
  bind(batch);
  run(program::Phase::gradients);
  for (const program::Operation& op : program_.operations)
    if (op.kind == program::OpKind::norm_forward && op.norm == program::NormPlace::after_layers)
      return get<const void>(op, program::Slot::y);
  return nullptr;
}

kernels::MatrixView Executor::head() const {
  const model::ParamTensor* own = machine_.table.find(model::Role::head_weight);
  const model::ParamTensor& tensor = own ? *own : machine_.table.at(model::Role::token_embedding);
  const int index = static_cast<int>(&tensor - machine_.table.tensors().data());
  const program::Placed* placed = nullptr;
  if (program_.head >= 0)
    for (const bool of_head : {false, true})
      if (!placed) placed = program_.arrangement_of(program_.head).find(index, of_head);
  if (!placed) throw std::logic_error("the head is on another pipeline rank");
  const ElementType type = program_.buffers[program_.head].type;
  return kernels::row_major(address(program_.head) + placed->offset * size_of(type), type, machine_.spec.vocab, machine_.spec.width);
}

const float* Executor::reduced_gradient() const {
  for (const program::Operation& op : program_.operations)
    if (op.kind == program::OpKind::gradient_norm) return reinterpret_cast<const float*>(address(op.at(program::Slot::gradients)));
  return nullptr;
}

}  // namespace longhaul::train
