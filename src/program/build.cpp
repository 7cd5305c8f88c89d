// The walk: a rank's turns in the order of its schedule, messages between stages, embedding, head.
#include "program/build.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "program/builder.h"
#include "units/error.h"

namespace longhaul::program {

using model::ModelSpec;
using model::ParamTable;

RankShape shape_of(const ModelSpec& spec, const BuildOptions& options) {
  const Layout& layout = options.layout;
  const std::int64_t tp = layout.tp, kv_parts = key_value_parts(layout, spec.kv_heads);
  RankShape shape;
  shape.width = spec.width;
  shape.head_dim = spec.head_dim;
  shape.n = options.batch.tokens_per_micro_batch() / layout.cp;
  shape.s = layout.sequence_parallel ? shape.n / tp : shape.n;
  shape.heads = spec.heads / tp;
  shape.kv_heads = spec.kv_heads / kv_parts;
  shape.ffn = spec.ffn_width / tp;
  shape.vocab = (spec.vocab + tp - 1) / tp;
  const double rows = static_cast<double>(shape.n);
  const auto product = [&](std::int64_t in, std::int64_t out) { return 2 * rows * static_cast<double>(in) * static_cast<double>(out); };
  if (spec.has_latent_attention()) {
    const model::LatentAttention& l = spec.latent;
    shape.latent = l.q_rank + l.kv_rank + l.rope_dim;
    shape.q = shape.k = shape.heads * (l.qk_dim + l.rope_dim);
    shape.v = shape.heads_out = shape.heads * l.value_dim;
    const std::int64_t kv = shape.heads * (l.qk_dim + l.value_dim);
    shape.qkv = shape.q + kv;
    shape.qkv_flops = product(l.q_rank, shape.q) + product(l.kv_rank, kv);
  } else {
    shape.q = shape.heads_out = spec.q_width() / tp;
    shape.k = shape.v = spec.kv_width() / kv_parts;
    shape.qkv = shape.q + shape.k + shape.v;
    shape.qkv_flops = product(shape.width, shape.qkv);
  }
  // Scores and weighted sum, not halved for causality (accounting D1); every query of this rank meets the keys of the whole sequence.
  shape.attention_flops = 2 * rows * static_cast<double>(options.batch.sequence_length) * static_cast<double>(shape.q + shape.heads_out);
  const model::Experts& e = spec.experts;
  if (e.count == 0) return shape;
  const bool divided = layout.ep > 1;
  shape.shared_ffn = e.shared * e.width / tp;
  shape.experts = e.count / layout.ep;
  shape.expert_ffn = divided ? e.width : (e.width + tp - 1) / tp;
  shape.expert_rows = (divided ? shape.s : shape.n) * e.top_k;
  return shape;
}

namespace {

/// With context parallelism a rank's leaves are one sequence shard of each of its virtual ranks.
Leaves leaves_of(const BuildOptions& options) {
  const Leaves hosted = options.batch.hosted_by(options.place.dp, options.layout.dp);
  return {hosted.first * options.layout.cp + options.place.cp, hosted.count};
}

/// Of a turn in which a rank serves, what it takes part in.
bool hands_over(OpKind kind, std::string_view what) {
  return is_collective(kind) && (what == "weights" || what == "vectors" || what == "owned_rows");
}

}  // namespace

Builder::Builder(const ModelSpec& spec, const ParamTable& table, const BuildOptions& options)
    : spec_(spec),
      options_(options),
      layout_(options.layout),
      holdings_(spec, table, options.layout, options.place.pp),
      shape_(shape_of(spec, options)),
      operand_(options.operand),
      alone_(options.layout.alone()),
      split_(options.layout.schedule == ScheduleKind::zb_h1 || options.layout.schedule == ScheduleKind::zb_h2),
      zero_(options.layout.shards() > 1 ? options.layout.zero : 0),
      table_(table),
      leaves_(leaves_of(options)),
      all_leaves_(options.batch.virtual_ranks * options.layout.cp),
      micro_batches_(options.batch.micro_batches_of(options.place.dp, options.layout.dp)),
      most_micro_batches_(options.batch.micro_batches_of(0, options.layout.dp)),
      accumulators_(holdings_.buckets.size()) {
  program_.layout = options.layout;
  program_.place = options.place;
  program_.batch = options.batch;
  program_.shape = shape_;
  program_.block = options.block;
  program_.kv_heads = spec.kv_heads;
  declare_persistent();
}

// ---- buffers and operations -----------------------------------------------------------------------------------------------------

BufferId Builder::buffer(std::string name, MemoryLine line, ElementType type, std::int64_t elements, bool persistent) {
  if (serves_) return -1;
  program_.buffers.push_back({std::move(name), line, type, elements, persistent});
  return static_cast<BufferId>(program_.buffers.size()) - 1;
}
BufferId Builder::activation(const std::string& what, ElementType type, std::int64_t elements) {
  return buffer(prefix() + what, MemoryLine::activations, type, elements);
}
BufferId Builder::gradient_of(const std::string& what, ElementType type, std::int64_t elements) {
  return buffer(prefix() + "d_" + what, MemoryLine::activation_gradients, type, elements);
}
BufferId Builder::in_transit(const std::string& what, ElementType type, std::int64_t elements) {
  return buffer(prefix() + what, MemoryLine::communication, type, elements);
}
BufferId Builder::workspace(const std::string& what, Bytes bytes, MemoryLine line) {
  return buffer(prefix() + what + ".workspace", line, ElementType::u8, bytes.value);
}
BufferId Builder::rounded_gradient(const std::string& what, std::int64_t elements) {
  return operand_ != ElementType::f32 || split_ ? gradient_of(what, operand_, elements) : -1;
}

std::string Builder::prefix() const {
  std::string out = at_.micro_batch >= 0 ? fmt::format("mb{}.", at_.micro_batch) : "";
  if (at_.layer >= 0) out += fmt::format("L{}.", at_.layer);
  if (at_.pass == Pass::recompute) out += "rec.";
  return out;
}

Operation& Builder::emit(OpKind kind, std::vector<BufferUse> uses, double flops) {
  Operation op;
  op.kind = kind;
  op.phase = at_.phase;
  op.pass = at_.pass;
  op.micro_batch = at_.micro_batch;
  op.stage = at_.stage;
  op.layer = at_.layer;
  op.part = at_.part;
  op.uses = std::move(uses);
  op.flops = Flops(flops);
  if (serves_) return served_ = std::move(op);
  program_.operations.push_back(std::move(op));
  return program_.operations.back();
}

/// Nothing for a group of one.
void Builder::collective(OpKind kind, std::string_view what, Group group, Bytes bytes, std::vector<BufferUse> uses) {
  if (ranks(group) == 1) return;
  Operation& op = emit(kind, std::move(uses));
  op.transfer.what = what, op.transfer.group = group, op.transfer.ranks = ranks(group), op.transfer.bytes = bytes;
  op.transfer.takers = takers(group);
  serve();
}

/// Members of a group that have this turn's micro-batch: the first ones, since the first ranks host more leaves.
int Builder::takers(Group group) const {
  const Members members = program_.members(group);
  if (at_.micro_batch < 0) return members.count();
  return static_cast<int>(std::count_if(members.ranks.begin(), members.ranks.end(), [&](int rank) {
    return at_.micro_batch < options_.batch.micro_batches_of(place_of(rank, layout_).dp, layout_.dp);
  }));
}

/// In a turn that is another rank's, of what was emitted last: this rank's part in the hand-over.
void Builder::serve() {
  if (!serves_ || served_.transfer.takers == 0 || !hands_over(served_.kind, served_.transfer.what)) return;
  std::erase_if(served_.uses, [](const BufferUse& use) { return use.access != Access::read; });
  served_.transfer.received = Bytes(0);
  program_.operations.push_back(served_);
}

// ---- messages -------------------------------------------------------------------------------------------------------------------

BufferId Builder::receive(std::string_view what, MemoryLine line, int from_stage) {
  if (serves_) return -1;
  if (layout_.pp == 1) return handed_over_.extract({at_.stage, at_.micro_batch}).mapped();
  const BufferId rows = buffer(fmt::format("{}s{}.{}", prefix(), at_.stage, what), line, ElementType::f32, shape_.s * shape_.width);
  emit(OpKind::receive, {{Slot::y, rows, Access::write}}).transfer = message(what, rows, from_stage);
  return rows;
}

void Builder::send(BufferId rows, std::string_view what, int to_stage) {
  if (serves_) return;
  if (layout_.pp == 1)
    handed_over_[{to_stage, at_.micro_batch}] = rows;
  else
    emit(OpKind::send, {{Slot::x, rows, Access::read}}).transfer = message(what, rows, to_stage);
}

Transfer Builder::message(std::string_view what, BufferId rows, int stage) const {
  Transfer transfer;
  transfer.what = what, transfer.group = Group::pipeline, transfer.ranks = 2, transfer.peer = stage % layout_.pp;
  transfer.bytes = program_.buffers[rows].size();
  return transfer;
}

// ---- turns ----------------------------------------------------------------------------------------------------------------------

void Builder::gather_layer() {
  gather_weights(layer_bucket());
  if (expert_bucket() != layer_bucket()) gather_weights(expert_bucket());
}
void Builder::close_layer() {
  close(layer_bucket());
  if (expert_bucket() != layer_bucket()) close(expert_bucket());
}

void Builder::forward_turn() {
  Flight& flight = *flight_;
  BufferId x = first_stage() ? embed() : receive("input", MemoryLine::activations, at_.stage - 1);
  for (at_.layer = holdings_.first_layer[at_.stage]; at_.layer < holdings_.first_layer[at_.stage + 1]; ++at_.layer) {
    gather_layer();
    flight.layers.push_back(layer_forward(x, false));
    x = flight.layers.back().output;
  }
  at_.layer = -1;
  flight.output = x;
  if (!last_stage()) return send(x, "input", at_.stage + 1);
  gather_weights(holdings_.final_norm);
  flight.final_norm = norm(x, "final_norm", NormPlace::after_layers, flight.final_statistics);
}

/// The whole backward pass, or, of a split one, the input gradients.
void Builder::backward_turn() {
  Flight& flight = *flight_;
  const Pass pass = at_.pass;
  if (last_stage()) {
    const BufferId d_y = head_and_loss();
    gather_weights(holdings_.final_norm);
    flight.d_residual = gradient_of("residual", ElementType::f32, shape_.s * shape_.width);
    norm_gradient(d_y, flight.output, flight.final_statistics, flight.d_residual, NormPlace::after_layers, true, holdings_.final_norm);
    close(holdings_.final_norm);
  } else {
    flight.d_residual = receive("d_output", MemoryLine::activation_gradients, at_.stage + 1);
  }
  const int first = holdings_.first_layer[at_.stage];
  for (at_.layer = holdings_.first_layer[at_.stage + 1] - 1; at_.layer >= first; --at_.layer) {
    LayerActivations a = flight.layers[static_cast<std::size_t>(at_.layer - first)];
    gather_layer();
    if (layout_.recompute == Recompute::layer) {
      at_.pass = Pass::recompute;
      a = layer_forward(a.input, true);
      at_.pass = pass;
    }
    layer_backward(a, flight.d_residual);
    if (!split_) close_layer();
  }
  at_.layer = -1;
  if (!first_stage()) send(flight.d_residual, "d_output", at_.stage - 1);
  if (!split_) end_of_chains();
}

void Builder::weight_gradient_turn() {
  const std::vector<Deferred>& deferred = flight_->deferred;
  for (std::size_t i = 0; i < deferred.size(); ++i) {
    at_.layer = deferred[i].layer;
    weight_gradient(deferred[i].linear);
    if (i + 1 == deferred.size() || deferred[i + 1].layer != at_.layer) close_layer();
  }
  at_.layer = -1;
  end_of_chains();
}

/// What is left of a micro-batch's weight gradients after the layers'.
void Builder::end_of_chains() {
  if (first_stage()) embed_gradient();
  if (alone_) end_chains(0);
}

void Builder::take(const Turn& turn) {
  const int stage = turn.chunk * layout_.pp + options_.place.pp;
  serves_ = turn.micro_batch >= micro_batches_;
  const auto flight = flights_.try_emplace({stage, turn.micro_batch}).first;
  flight_ = &flight->second;
  at_ = {Phase::gradients, Pass::forward, turn.micro_batch, stage, -1, {}};
  switch (turn.kind) {
    case TurnKind::forward:
      return forward_turn();
    case TurnKind::backward:
      at_.pass = Pass::backward;
      backward_turn();
      break;
    case TurnKind::input_gradient:
      at_.pass = Pass::input_gradient;
      return backward_turn();
    case TurnKind::weight_gradient:
      at_.pass = Pass::weight_gradient;
      weight_gradient_turn();
      break;
  }
  flights_.erase(flight);
}

Program Builder::step() {
  const Schedule schedule = make_schedule(layout_.schedule, layout_.pp, most_micro_batches_, layout_.chunks);
  if (alone_) accumulators_[0].open.emplace(0, begin_leaf(0, 0));
  for (const Turn& turn : schedule.ranks[static_cast<std::size_t>(options_.place.pp)]) take(turn);
  serves_ = false;
  reduce_and_update();
  finish(program_);
  return std::move(program_);
}

/// @return the final norm's output on the last stage's rank, -1 on others
BufferId Builder::forward_pass() {
  BufferId y = -1;
  for (int chunk = 0; chunk < layout_.chunks; ++chunk) {
    take({TurnKind::forward, 0, chunk});
    y = flight_->final_norm;
  }
  return y;
}

/// Where an average is kept, evaluation reads it: lookups, norms and products of fp32 from where it lies, other products from operand
/// copies that are made again.
void Builder::read_average() {
  if (average_ < 0) return;
  read_ = average_;
  refresh(Phase::prepare, average_);
  at_ = {};
}

Program Builder::evaluation() {
  read_average();
  if (const BufferId y = forward_pass(); y >= 0) {
    gather_weights(holdings_.head);
    program_.head = product_weights().buffer;
    const BufferId x = gathered_rows(y, "final_norm", operand_, shape_.width);
    const BufferId token_loss = activation("token_loss", ElementType::f32, shape_.n);
    Operation& op = emit(OpKind::head_loss_evaluate,
                         {product_weights(),
                          {Slot::x, x, Access::read},
                          {Slot::token_loss, token_loss, Access::write},
                          {Slot::workspace, workspace("loss", options_.workspace.loss_evaluate, MemoryLine::logits), Access::write}},
                         matmul_flops(shape_.n, shape_.width, shape_.vocab));
    if (layout_.tp > 1) op.transfer = loss_exchange();
  }
  refresh(Phase::restore, weights_);
  finish(program_);
  return std::move(program_);
}

Program Builder::forward() {
  if (average_ >= 0) read_ = average_;
  if (const BufferId y = forward_pass(); y >= 0) {
    gather_weights(holdings_.head);
    program_.head = product_weights().buffer;
    add(program_.operations.back(), Slot::residual, y, Access::read);  // it is read after the last operation, with the head
  }
  finish(program_);
  return std::move(program_);
}

// ---- the public functions -------------------------------------------------------------------------------------------------------

namespace {

/// Throws UsageError with all that is wrong with the options.
/// @param micro_batches  that a rank's schedule takes
void check(const ModelSpec& spec, const BuildOptions& options, int micro_batches) {
  const BatchPlan& batch = options.batch;
  const Layout& layout = options.layout;
  std::vector<std::string> wrong;
  if (batch.virtual_ranks < 1 || batch.micro_batches % batch.virtual_ranks != 0)
    wrong.push_back(fmt::format("batch.virtual_ranks is {}, which does not divide the {} micro-batches of a step", batch.virtual_ranks,
                                batch.micro_batches));
  else if (layout.dp > batch.virtual_ranks)
    wrong.push_back(fmt::format("dp = {} ranks host batch.virtual_ranks = {} leaves of the gradient; use dp of at most {}, or pp",
                                layout.dp, batch.virtual_ranks, batch.virtual_ranks));
  else if (layout.cp > 1 && batch.virtual_ranks != layout.dp)
    wrong.push_back(fmt::format("batch.virtual_ranks is {}, but with cp > 1 the tree over sequence shards comes first: use dp = {} of them",
                                batch.virtual_ranks, layout.dp));
  for (std::string& sentence : contradictions(spec, layout, batch.sequence_length, micro_batches)) wrong.push_back(std::move(sentence));
  if (!wrong.empty()) throw UsageError(fmt::format("layout {}: {}", to_text(layout), fmt::join(wrong, "; ")));
}

}  // namespace

OperandLayout operand_layout(const ParamTable& table, ElementType operand) {
  OperandLayout layout;
  const bool tied = table.find(model::Role::head_weight) == nullptr;
  Packing packing(kOperandAlignment);
  for (const model::ParamTensor& tensor : table.tensors()) {
    const bool head = tied && tensor.role == model::Role::token_embedding;
    if (operand == ElementType::f32 || !(tensor.multiplies || head)) {
      layout.offsets.push_back(-1);
      continue;
    }
    layout.offsets.push_back(packing.place(tensor, tensor.count));
  }
  layout.elements = packing.end();
  return layout;
}

std::int64_t gradient_elements(const ParamTable& table) {
  const bool tied = table.find(model::Role::head_weight) == nullptr;
  return table.padded_count() + (tied ? table.at(model::Role::token_embedding).count : 0);
}

std::int64_t head_gradient_offset(const ParamTable& table) {
  const model::ParamTensor* head = table.find(model::Role::head_weight);
  return head ? head->offset : table.padded_count();
}

Program build_step(const ModelSpec& spec, const ParamTable& table, const BuildOptions& options) {
  check(spec, options, options.batch.virtual_ranks > 0 ? options.batch.micro_batches_of(0, options.layout.dp) : 0);
  return Builder(spec, table, options).step();
}
std::vector<Program> build_pipeline(const ModelSpec& spec, const ParamTable& table, const BuildOptions& options) {
  std::vector<Program> programs;
  BuildOptions of_rank = options;
  of_rank.place = {};
  for (; of_rank.place.pp < options.layout.pp; ++of_rank.place.pp) programs.push_back(build_step(spec, table, of_rank));
  return programs;
}
std::vector<Program> build_job(const ModelSpec& spec, const ParamTable& table, const BuildOptions& options) {
  std::vector<Program> programs;
  BuildOptions of_rank = options;
  for (int rank = 0; rank < options.layout.world(); ++rank) {
    of_rank.place = place_of(rank, options.layout);
    programs.push_back(build_step(spec, table, of_rank));
  }
  return programs;
}
Program build_evaluation(const ModelSpec& spec, const ParamTable& table, const BuildOptions& options) {
  check(spec, options, options.layout.pp);  // forward alone: no schedule, so no rule of one
  return Builder(spec, table, options).evaluation();
}
Program build_forward(const ModelSpec& spec, const ParamTable& table, const BuildOptions& options) {
  check(spec, options, options.layout.pp);
  return Builder(spec, table, options).forward();
}

}  // namespace longhaul::program
