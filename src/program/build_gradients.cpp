// Gradients of a rank: accumulators of leaves, their tree, what is exchanged of them, and the end of a step.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "program/builder.h"

namespace longhaul::program {
namespace {

Bytes gradient_bytes(std::int64_t elements) { return Bytes(elements * size_of(ElementType::f32)); }

/// Subtrees of all members together, as far as the tree joins them.
std::vector<Leaves> joined(const std::vector<std::vector<Leaves>>& nodes, int all) {
  const Leaves first = nodes.front().front(), last = nodes.back().back();
  return subtrees({first.first, last.end() - first.first}, all);
}

}  // namespace

bool Builder::scatters_each(const Bucket& bucket) const {
  return options_.scatter == GradientScatter::every_micro_batch && zero_ >= 2 && shards(bucket) > 1;
}

/// Where pieces are handed over after every micro-batch, chains and accumulators end with it.
int Builder::micro_batches_of_leaf(const Bucket& bucket) const {
  return scatters_each(bucket) ? 1 : options_.batch.micro_batches_per_leaf();
}

/// The accumulator in which this micro-batch's chains run; zeroed where they begin.
BufferUse Builder::accumulate(int bucket) {
  if (serves_) return {Slot::gradients, -1, Access::update};
  const int leaf = at_.micro_batch / micro_batches_of_leaf(holdings_.buckets[bucket]);
  auto [open, fresh] = accumulators_[bucket].open.try_emplace(leaf, -1);
  if (fresh) open->second = begin_leaf(bucket, leaf);
  return {Slot::gradients, open->second, Access::update};
}

BufferId Builder::begin_leaf(int index, int leaf) {
  const Bucket& bucket = holdings_.buckets[index];
  const Where here = go({Phase::gradients, Pass::step, -1, bucket.stage, bucket.layer, bucket.part});
  const BufferId gradients = buffer(fmt::format("gradients.leaf{}{}{}", leaf, bucket.name().empty() ? "" : ".", bucket.name()),
                                    MemoryLine::gradients, ElementType::f32, bucket.gradients);
  arrange(gradients, bucket.gradients_at);
  emit(OpKind::leaf_begin, {{Slot::gradients, gradients, Access::write}}).left = {leaves_.first + leaf * layout_.cp, 1};
  go(here);
  return gradients;
}

/// After a bucket's last operation of a micro-batch: when that ends a leaf, its accumulator enters the tree; when it ends the last
/// micro-batch of any rank, the bucket is exchanged. A rank alone has nothing to wait for and begins the next leaf at once.
void Builder::end_chains(int index) {
  const Bucket& bucket = holdings_.buckets[index];
  Accumulators& accumulators = accumulators_[index];
  const int of_leaf = micro_batches_of_leaf(bucket), leaf = at_.micro_batch / of_leaf, leaves = micro_batches_ / of_leaf;
  const bool last = at_.micro_batch + 1 == most_micro_batches_;
  const bool serving = std::exchange(serves_, false);
  const Where here = go({Phase::gradients, Pass::step, -1, bucket.stage, bucket.layer, bucket.part});
  if (!serving && here.micro_batch % of_leaf == of_leaf - 1) {
    // Nothing of this bucket may have a gradient: a stage without layers.
    if (const auto open = accumulators.open.extract(leaf); !open.empty()) {
      accumulators.complete.push_back({open.mapped(), {leaves_.first + leaf * layout_.cp, 1}});
      if (scatters_each(bucket)) {
        accumulators.complete.front().leaves = leaves_;
        exchange_gradients(index, last);
      } else {
        combine(index);
      }
      if (alone_ && leaf + 1 < leaves) accumulators.open.emplace(leaf + 1, begin_leaf(index, leaf + 1));
    }
  }
  if (last && !accumulators.complete.empty()) exchange_gradients(index, true);
  go(here);
  serves_ = serving;
}

/// Complete subtrees are merged as they appear, like the carries of a binary counter: so popcount(v) + 1 accumulators live at once.
void Builder::combine(int bucket) {
  auto& complete = accumulators_[bucket].complete;
  while (complete.size() > 1 && siblings(complete[complete.size() - 2].leaves, complete.back().leaves, all_leaves_))
    combine_last_two(bucket);
}

void Builder::combine_last_two(int bucket) {
  Accumulators& accumulators = accumulators_[bucket];
  const Accumulators::Subtree right = accumulators.complete.back();
  accumulators.complete.pop_back();
  Accumulators::Subtree& left = accumulators.complete.back();
  Operation& op = emit(OpKind::leaf_combine,
                       {{Slot::gradients, left.gradients, Access::update}, {Slot::other_gradients, right.gradients, Access::read}});
  op.left = left.leaves;
  op.right = right.leaves;
  const auto blocks = std::ssize(blocks_of(holdings_.buckets[bucket].gradients_at, program_.block, 0, holdings_.buckets[bucket].gradients));
  figures_ += blocks * ((left.leaves.count == 1 ? 1 : 0) + (right.leaves.count == 1 ? 1 : 0));
  left.leaves.count += right.leaves.count;
}

/// One sum of all members' subtrees. `uses` are this rank's buffers; a place for what arrives of the others is added.
void Builder::sum_over(OpKind kind, std::string_view what, Group group, int bucket, Sum sum, std::vector<BufferUse> uses) {
  const Members members = program_.members(group);
  std::int64_t arriving = 0, all = 0, sent = 0;
  const std::int64_t own = sum.piece(members.index), own_nodes = std::ssize(sum.nodes[members.index]);
  for (int m = 0; m < members.count(); ++m) {
    all += sum.piece(m);
    if (m == members.index) continue;
    arriving += own * std::ssize(sum.nodes[m]);
    sent += sum.piece(m) * own_nodes;
  }
  const Bucket& of = holdings_.buckets[bucket];
  if (sum.of_leaves)
    for (const std::vector<Leaves>& nodes : sum.nodes)
      for (const Leaves& node : nodes)
        if (node.count == 1 && std::find(sum.result.begin(), sum.result.end(), node) == sum.result.end())  // it is added to another
          figures_ += std::ssize(blocks_of(of.gradients_at, program_.block, sum.begin(members.index), sum.begin(members.index) + own));
  if (arriving > 0)
    uses.push_back({Slot::workspace,
                    buffer(fmt::format("{}.{}.arriving", what, of.name()), MemoryLine::communication, ElementType::f32, arriving),
                    Access::write});
  Operation& op = emit(kind, std::move(uses));
  op.transfer.what = what, op.transfer.group = group, op.transfer.ranks = members.count(), op.transfer.bytes = gradient_bytes(all);
  op.transfer.sum = static_cast<int>(program_.sums.size());
  const bool back = kind == OpKind::all_reduce;
  op.transfer.sent = gradient_bytes(sent + (back ? own * (members.count() - 1) : 0));
  op.transfer.received = gradient_bytes(arriving + (back ? all - own : 0));
  program_.sums.push_back(std::move(sum));
}

/// Adds up what the ranks of a bucket's group have: all-reduce, or pieces to their owners and, where several ranks hold the same piece,
/// an all-reduce of pieces. @param last  no micro-batch follows
void Builder::exchange_gradients(int index, bool last) {
  const Bucket& bucket = holdings_.buckets[index];
  Accumulators& a = accumulators_[index];
  const Group data = bucket.experts ? Group::expert_data : Group::data, shard = bucket.experts ? Group::expert_shard : Group::shard,
              replica = bucket.experts ? Group::expert_replica : Group::replica;
  const std::int64_t end = bucket.gradients_at.end();
  if (bucket.partial > 0)
    collective(OpKind::all_reduce, "partial_gradients", Group::tensor, gradient_bytes(bucket.partial),
               {{Slot::gradients, a.complete.front().gradients, Access::update}});
  std::vector<BufferId> buffers;
  std::vector<Leaves> own;
  for (const Accumulators::Subtree& subtree : a.complete) buffers.push_back(subtree.gradients), own.push_back(subtree.leaves);
  a.complete.clear();
  /// Subtrees of the members of a group: of each, the leaves of `of_each` data-parallel neighbours. What experts' copies have in common
  /// with leaves is not said yet: a node each.
  const auto sum_of = [&](Group group, int of_each, std::vector<std::int64_t> cuts, std::vector<std::int64_t> bases) {
    Sum sum;
    const Members members = program_.members(group);
    for (int m = 0; m < members.count(); ++m) {
      if (bucket.experts || scatters_each(bucket)) {
        sum.nodes.push_back({{m, 1}});
        continue;
      }
      const int per = layout_.cp, at = place_of(members.ranks[m], layout_).dp * per + place_of(members.ranks[m], layout_).cp;
      const int first = at / of_each * of_each, last_rank = first + of_each - 1;
      const auto begin = [&](int data_index) {
        return options_.batch.hosted_by(data_index / per, layout_.dp).first * per + data_index % per;
      };
      const Leaves until = options_.batch.hosted_by(last_rank / per, layout_.dp);
      const int stop = per == 1 ? until.end() : last_rank + 1;
      sum.nodes.push_back(subtrees({begin(first), stop - begin(first)}, all_leaves_));
    }
    sum.all = bucket.experts || scatters_each(bucket) ? members.count() : all_leaves_;
    sum.of_leaves = !bucket.experts && !scatters_each(bucket);
    sum.result = joined(sum.nodes, sum.all);
    sum.cuts = std::move(cuts);
    sum.bases = std::move(bases);
    return sum;
  };
  const auto each = [&](Slot slot, const std::vector<BufferId>& ids, Access access) {
    std::vector<BufferUse> uses;
    for (const BufferId id : ids) uses.push_back({slot, id, access});
    return uses;
  };

  a.reduced = buffers.front();
  a.begin = 0, a.end = end, a.base = 0;
  if (shards(bucket) == 1) {
    if (ranks(data) > 1) {
      const Members members = program_.members(data);
      const std::vector<std::int64_t> cuts = cuts_of(bucket.gradients_at, program_.block, members.count());
      sum_over(OpKind::all_reduce, "gradients", data, index, sum_of(data, 1, cuts, std::vector<std::int64_t>(buffers.size(), 0)),
               each(Slot::gradients, buffers, Access::update));
      program_.owned.push_back({a.reduced, cuts[members.index], cuts[members.index + 1]});
    } else {
      program_.owned.push_back({a.reduced, 0, end});
    }
    return;
  }
  const Members members = program_.members(shard);
  const std::vector<std::int64_t> cuts = cuts_of(bucket.gradients_at, program_.block, members.count());
  Sum sum = sum_of(shard, 1, cuts, std::vector<std::int64_t>(buffers.size(), 0));
  a.begin = cuts[members.index], a.end = cuts[members.index + 1];
  sum.in_place = zero_ == 1;
  a.base = sum.in_place ? a.begin : 0;
  std::vector<BufferUse> uses = each(Slot::other_gradients, buffers, Access::update);
  std::vector<BufferId> pieces;
  for (std::size_t i = 0; i < sum.result.size(); ++i) {
    if (i == 0 && sum.in_place) {
      pieces.push_back(buffers.front());
      continue;
    }
    const std::string name = fmt::format("gradients.piece.{}{}", bucket.name(), i == 0 ? "" : fmt::format(".{}", i));
    const bool again = scatters_each(bucket) && program_.find(name) >= 0;
    pieces.push_back(again ? program_.find(name) : buffer(name, MemoryLine::gradients, ElementType::f32, a.end - a.begin));
    if (!again) arrange(pieces.back(), cut_out(bucket.gradients_at, a.begin, a.end, 0));
    uses.push_back({Slot::gradients, pieces.back(), again ? Access::update : Access::write});
  }
  a.reduced = pieces.front();
  sum_over(OpKind::reduce_scatter, "gradients", shard, index, std::move(sum), std::move(uses));
  if (!last) return;
  Owned owned{a.reduced, a.base, a.base + a.end - a.begin};
  if (ranks(replica) > 1 && a.end > a.begin) {
    const Members copies = program_.members(replica);
    const std::vector<std::int64_t> shares = cuts_of(bucket.gradients_at, program_.block, copies.count(), a.begin, a.end);
    std::vector<std::int64_t> bases(pieces.size(), 0);
    bases.front() = a.base;
    sum_over(OpKind::all_reduce, "gradient_pieces", replica, index, sum_of(replica, members.count(), shares, bases),
             each(Slot::gradients, pieces, Access::update));
    owned.begin = a.base + shares[copies.index] - a.begin;
    owned.end = a.base + shares[copies.index + 1] - a.begin;
  }
  program_.owned.push_back(owned);
}

// ---- the end of a step ----------------------------------------------------------------------------------------------------------

/// Head and embedding that share a tensor: two accumulators, each through chain and tree, then added once.
void Builder::combine_tied() {
  const int embed = holdings_.embed, head = holdings_.head;
  if (embed < 0 && head < 0) return;
  if (embed == head) {
    emit(OpKind::tied_combine, {{Slot::gradients, accumulators_[embed].reduced, Access::update}});
  } else if (embed >= 0 && head >= 0) {
    emit(OpKind::tied_combine, {{Slot::gradients, accumulators_[embed].reduced, Access::update},
                                {Slot::other_gradients, accumulators_[head].reduced, Access::read}});
  } else {
    const int here = embed >= 0 ? embed : head;
    const Accumulators& a = accumulators_[here];
    if (a.end == a.begin) return;  // this rank and the one at the other end own nothing of it
    Sum sum;
    sum.cuts = cuts_of(holdings_.buckets[here].gradients_at, program_.block, 2, a.begin, a.end);
    sum.bases = {a.base};
    sum.nodes = {{{0, 1}}, {{1, 1}}};
    sum.result = {{0, 2}};
    sum.all = 2;
    sum.of_leaves = false;
    sum_over(OpKind::all_reduce, "tied_gradients", Group::embedding, here, std::move(sum), {{Slot::gradients, a.reduced, Access::update}});
  }
  // The squares of both accumulators, of what this rank answers for: the noise scale's, where there are several leaves.
  for (const Owned& owned : program_.owned)
    for (const int bucket : {embed, head})
      if (bucket >= 0 && all_leaves_ > 1 && owned.buffer == accumulators_[bucket].reduced)
        for (const Block& block : blocks_of(program_.arrangement_of(owned.buffer), program_.block, owned.begin, owned.end))
          if (table_.tensors()[block.tensor].role == model::Role::token_embedding && (embed != head || bucket == embed)) ++figures_;
}

void Builder::reduce_and_update() {
  at_ = {Phase::gradients, Pass::step, -1, options_.place.pp, -1, {}};
  if (spec_.tied_embeddings) combine_tied();
  std::vector<BufferUse> gradients;
  for (const Accumulators& accumulators : accumulators_)
    if (accumulators.reduced >= 0) gradients.push_back({Slot::gradients, accumulators.reduced, Access::read});
  at_.phase = Phase::norm;
  emit(OpKind::gradient_norm, gradients);
  for (const Owned& owned : program_.owned)
    for (const Block& block : blocks_of(program_.arrangement_of(owned.buffer), program_.block, owned.begin, owned.end))
      if (!block.head) ++figures_;
  if (holdings_.head >= 0) figures_ += leaves_.count;
  // The blocks' sums of squares of the whole model and the losses of all leaves, each with its place, to be added in order by every rank.
  if (ranks(Group::world) > 1) {
    const Figures all(table_, all_leaves_, program_.block, spec_.tied_embeddings);
    collective(OpKind::all_gather, "norm_and_loss", Group::world, Bytes(all.count() * kFigureBytes), {});
    Transfer& transfer = program_.operations.back().transfer;
    transfer.sent = Bytes(figures_ * kFigureBytes * (ranks(Group::world) - 1));
    transfer.received = Bytes((all.count() - figures_) * kFigureBytes);
  }
  at_.phase = Phase::update;
  Operation& op = emit(OpKind::update, std::move(gradients));
  add(op, Slot::weights, weights_, Access::update);
  add(op, Slot::moment1, moment1_, Access::update);
  add(op, Slot::moment2, moment2_, Access::update);
  if (operand_weights_ >= 0) add(op, Slot::operand_weights, operand_weights_, Access::update);
  if (vectors_ >= 0) add(op, Slot::vectors, vectors_, Access::update);
  if (average_ >= 0) add(op, Slot::average, average_, Access::update);
  gather_updated();
}

}  // namespace longhaul::program
