// The states of a rank and what is exchanged of them: persistent buffers, ZeRO's pieces, accumulators of leaves and their tree, the end of
// a step.
#include <fmt/format.h>

#include <algorithm>

#include "program/builder.h"

namespace longhaul::program {
namespace {

Bytes f32_bytes(std::int64_t elements) { return Bytes(elements * size_of(ElementType::f32)); }

/// The same tensors, further on in a larger buffer.
void append(Arrangement& all, const Arrangement& part, std::int64_t base) {
  for (Placed placed : part.placed()) {
    placed.offset += base;
    all.add(placed);
  }
}

/// Subtrees of all members together, as far as the tree joins them.
std::vector<Leaves> joined(const std::vector<std::vector<Leaves>>& nodes, int all) {
  const Leaves first = nodes.front().front(), last = nodes.back().back();
  return subtrees({first.first, last.end() - first.first}, all);
}

}  // namespace

// ---- where the states lie -------------------------------------------------------------------------------------------------------

int Builder::shards(const Bucket& bucket) const { return zero_ == 0 ? 1 : ranks(bucket.experts ? Group::expert_shard : Group::shard); }

void Builder::divide() {
  for (const Bucket& bucket : holdings_.buckets) {
    Division division;
    division.parts = shards(bucket);
    if (division.parts > 1) division.index = program_.members(bucket.experts ? Group::expert_shard : Group::shard).index;
    division.cuts = cuts_of(bucket.weights_at, program_.block, division.parts);
    if (division.parts == 1) division.cuts.back() = bucket.weights;
    divisions_.push_back(std::move(division));
  }
}

void Builder::arrange(BufferId buffer, Arrangement arrangement) {
  program_.buffers[buffer].arrangement = static_cast<int>(program_.arrangements.size());
  program_.arrangements.push_back(std::move(arrangement));
}

/// By ZeRO stage (Rajbhandari et al. 2020 §5): from 1 the moments are divided, with bf16 operands also the master weights, whose norms and
/// biases are then kept whole beside them; at 3 also what products read.
void Builder::declare_persistent() {
  divide();
  Arrangement masters, states, vectors, products;
  std::int64_t weights_end = 0, states_end = 0, vectors_end = 0, products_end = 0;
  for (std::size_t i = 0; i < holdings_.buckets.size(); ++i) {
    const Bucket& bucket = holdings_.buckets[i];
    Division& d = divisions_[i];
    d.weights = weights_end, d.states = states_end, d.vectors = vectors_end;
    d.products = rounded_up(products_end, kOperandAlignment);
    const Arrangement piece = cut_out(bucket.weights_at, d.begin(), d.begin() + d.piece(), 0);
    append(masters, shards_masters() ? piece : bucket.weights_at, d.weights);
    append(states, piece, d.states);
    append(vectors, bucket.vectors_at, d.vectors);
    weights_end += rounded_up(shards_masters() ? d.piece() : bucket.weights, kWeightAlignment);
    states_end += rounded_up(d.piece(), kWeightAlignment);
    vectors_end += rounded_up(bucket.vectors, kWeightAlignment);
    if (zero_ < 3) append(products, bucket.products_at, d.products);
    products_end = d.products + (zero_ < 3 ? bucket.products : 0);
  }
  // At ZeRO 3 the operand copies are of this rank's pieces alone, one after the other.
  for (std::size_t i = 0; zero_ == 3 && i < holdings_.buckets.size(); ++i) {
    divisions_[i].products = products_end;
    for (const Placed& product : holdings_.buckets[i].products_at.placed()) {
      int master = 0;
      const Arrangement& whole = masters_of(product, static_cast<int>(i), master);
      const Division& d = divisions_[static_cast<std::size_t>(master)];
      for (const Arrangement piece = cut_out(whole, d.begin(), d.begin() + d.piece(), 0); const Placed& placed : piece.placed())
        if (placed.tensor == product.tensor) {
          products.add({placed.tensor, false, products_end, placed.begin, placed.end});
          products_end += placed.count();
        }
    }
  }
  for (int member = 0; zero_ > 0 && holdings_.embed >= 0 && member < ranks(Group::shard); ++member) {
    Arrangement& owned = program_.table_owners.emplace_back();
    for (const int bucket : {holdings_.embed, holdings_.embed_rest}) {
      if (bucket < 0 || (bucket == holdings_.embed_rest && bucket == holdings_.embed)) continue;
      const std::vector<std::int64_t>& cuts = divisions_[bucket].cuts;
      const Arrangement piece = cut_out(holdings_.buckets[bucket].weights_at, cuts[member], cuts[member + 1], 0);
      for (const Placed& placed : piece.placed()) {
        const model::Role role = table_.tensors()[placed.tensor].role;
        if (role == model::Role::token_embedding || role == model::Role::position_embedding) owned.add(placed);
      }
    }
  }
  weights_ = read_ = buffer("weights", MemoryLine::weights, ElementType::f32, weights_end, true);
  arrange(weights_, std::move(masters));
  const auto state = [&](const char* name, MemoryLine line) {
    const BufferId id = buffer(name, line, ElementType::f32, states_end, true);
    arrange(id, states);
    return id;
  };
  if (options_.training) {
    moment1_ = state("moment1", MemoryLine::moments);
    moment2_ = state("moment2", MemoryLine::moments);
  }
  if (options_.training && options_.average) average_ = state("average", MemoryLine::average);
  if (operand_ != ElementType::f32) {
    operand_weights_ = buffer("operand_weights", MemoryLine::operand_copies, operand_, products_end, true);
    arrange(operand_weights_, std::move(products));
  }
  if (shards_masters() && zero_ < 3) {
    vectors_ = buffer("vectors", MemoryLine::weights, ElementType::f32, vectors_end, true);
    arrange(vectors_, std::move(vectors));
  }
}

// ---- what is read of the weights ------------------------------------------------------------------------------------------------

BufferUse Builder::product_weights() const {
  if (gathered_.products >= 0) return {Slot::operand_weights, gathered_.products, Access::read};
  return {Slot::operand_weights, operand_weights_ >= 0 ? operand_weights_ : read_, Access::read};
}
BufferUse Builder::expert_weights() const {
  if (gathered_experts_.products >= 0) return {Slot::operand_weights, gathered_experts_.products, Access::read};
  return expert_bucket() == layer_bucket()
             ? product_weights()
             : BufferUse{Slot::operand_weights, operand_weights_ >= 0 ? operand_weights_ : read_, Access::read};
}
BufferUse Builder::vector_weights() const {
  if (gathered_.vectors >= 0) return {Slot::weights, gathered_.vectors, Access::read};
  return {Slot::weights, vectors_ >= 0 ? vectors_ : read_, Access::read};
}

/// Where the master weights of a product are: in its own bucket, or in that of the embedding, which a tied head reads.
const Arrangement& Builder::masters_of(const Placed& product, int bucket, int& master_bucket) const {
  const Arrangement& own = holdings_.buckets[bucket].weights_at;
  const bool here = own.find(product.tensor, false) || own.find(product.tensor, true);
  master_bucket = here ? bucket : holdings_.embed;
  return holdings_.buckets[master_bucket].weights_at;
}

/// @param base  where the bucket's products begin in the buffer that is filled
Gather Builder::gather_of_products(int bucket, std::int64_t base) const {
  Gather gather;
  for (int member = 0; member < divisions_[bucket].parts; ++member) {
    std::vector<Segment> segments;
    for (const Placed& product : holdings_.buckets[bucket].products_at.placed()) {
      int master = 0;
      const Arrangement& whole = masters_of(product, bucket, master);
      const std::vector<std::int64_t>& cuts = divisions_[master].cuts;
      for (const Arrangement piece = cut_out(whole, cuts[member], cuts[member + 1], 0); const Placed& placed : piece.placed())
        if (placed.tensor == product.tensor) segments.push_back({base + product.offset + placed.begin, placed.count()});
    }
    gather.of_member.push_back(std::move(segments));
  }
  return gather;
}

Gather Builder::gather_of_vectors(int bucket, std::int64_t base) const {
  Gather gather;
  const Bucket& of = holdings_.buckets[bucket];
  for (int member = 0; member < divisions_[bucket].parts; ++member) {
    std::vector<Segment> segments;
    const std::vector<std::int64_t>& cuts = divisions_[bucket].cuts;
    for (const Arrangement piece = cut_out(of.weights_at, cuts[member], cuts[member + 1], 0); const Placed& placed : piece.placed())
      if (const Placed* vector = of.vectors_at.find(placed.tensor, placed.head, placed.begin))
        segments.push_back({base + vector->offset + placed.begin, placed.count()});
    gather.of_member.push_back(std::move(segments));
  }
  return gather;
}

/// Nothing where nothing of the bucket is moved.
void Builder::all_gather(std::string_view what, int bucket, Gather gather, ElementType type, std::vector<BufferUse> uses) {
  std::int64_t all = 0, own = 0;
  for (std::size_t member = 0; member < gather.of_member.size(); ++member)
    for (const Segment& segment : gather.of_member[member]) {
      all += segment.count;
      if (static_cast<int>(member) == divisions_[bucket].index) own += segment.count;
    }
  if (all == 0) return;
  const Bucket& of = holdings_.buckets[bucket];
  const Group group = of.experts ? Group::expert_shard : Group::shard;
  if (ranks(group) == 1) return;
  Operation& op = emit(OpKind::all_gather, std::move(uses));
  op.transfer.what = what, op.transfer.group = group, op.transfer.ranks = ranks(group), op.transfer.bytes = Bytes(all * size_of(type));
  op.transfer.gather = static_cast<int>(program_.gathers.size());
  op.transfer.takers = takers(group);
  op.transfer.sent = Bytes(own * size_of(type) * (op.transfer.takers - (serves_ ? 0 : 1)));
  op.transfer.received = Bytes((all - own) * size_of(type));
  program_.gathers.push_back(std::move(gather));
  serve();
}

/// ZeRO 3: a bucket's weights are gathered before its operations and live until the last of them.
void Builder::gather_weights(int index) {
  const Bucket& bucket = holdings_.buckets[index];
  Gathered& gathered = bucket.experts ? gathered_experts_ : gathered_;
  gathered = {};
  if (!gathers() || shards(bucket) == 1) return;
  const Where here = at_;
  at_.part = bucket.part;
  const std::string name = prefix() + (bucket.part.empty() ? "" : fmt::format("{}.", bucket.part));
  const Division& d = divisions_[index];
  const auto filled = [&](const char* what, ElementType type, const Arrangement& arrangement) {
    const BufferId id = buffer(name + what, MemoryLine::gathered_weights, type, arrangement.end());
    if (id >= 0) arrange(id, arrangement);
    return id;
  };
  if (bucket.products > 0) {
    gathered.products = filled("weights", operand_, bucket.products_at);
    const BufferId from = operand_weights_ >= 0 ? operand_weights_ : read_;
    Gather gather = gather_of_products(index, 0);
    for (const Segment& segment : gather.of_member[d.index]) {  // where the same elements are in this rank's piece
      const Placed* whole = nullptr;
      for (const Placed& placed : bucket.products_at.placed())
        if (placed.offset <= segment.offset && segment.offset < placed.offset + placed.count()) whole = &placed;
      const std::int64_t element = segment.offset - whole->offset;
      const Arrangement& own = program_.arrangement_of(from);
      const Placed* piece = own.find(whole->tensor, false, element);
      if (!piece) piece = own.find(whole->tensor, true, element);
      gather.own.push_back({piece->offset + element - piece->begin, segment.count});
    }
    all_gather("weights", index, std::move(gather), operand_,
               {{operand_weights_ >= 0 ? Slot::operand_weights : Slot::weights, from, Access::read},
                {Slot::y, gathered.products, Access::write}});
  }
  if (bucket.vectors > 0) {
    gathered.vectors = filled("vectors", ElementType::f32, bucket.vectors_at);
    Gather gather = gather_of_vectors(index, 0);
    const Arrangement& own = program_.arrangement_of(read_);
    for (const Arrangement piece = cut_out(bucket.weights_at, d.begin(), d.begin() + d.piece(), 0); const Placed& placed : piece.placed())
      if (bucket.vectors_at.find(placed.tensor, placed.head, placed.begin)) {
        const Placed* here_at = own.find(placed.tensor, placed.head, placed.begin);
        gather.own.push_back({here_at->offset + placed.begin - here_at->begin, placed.count()});
      }
    all_gather("vectors", index, std::move(gather), ElementType::f32,
               {{Slot::weights, read_, Access::read}, {Slot::y, gathered.vectors, Access::write}});
  }
  go(here);
}

// ---- gradients ------------------------------------------------------------------------------------------------------------------

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

/// After a bucket's last operation of a micro-batch: when that ends a leaf, its accumulator enters the tree; when it ends the last micro-batch
/// of any rank, the bucket is exchanged. A rank alone has nothing to wait for and begins the next leaf at once.
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
  while (complete.size() > 1 && siblings(complete[complete.size() - 2].leaves, complete.back().leaves, all_leaves_)) combine_last_two(bucket);
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
        if (node.count == 1 && sum.all > 1)
          figures_ += std::ssize(blocks_of(of.gradients_at, program_.block, sum.begin(members.index), sum.begin(members.index) + own));
  if (arriving > 0)
    uses.push_back({Slot::workspace,
                    buffer(fmt::format("{}.{}.arriving", what, of.name()), MemoryLine::communication, ElementType::f32, arriving),
                    Access::write});
  Operation& op = emit(kind, std::move(uses));
  op.transfer.what = what, op.transfer.group = group, op.transfer.ranks = members.count(), op.transfer.bytes = f32_bytes(all);
  op.transfer.sum = static_cast<int>(program_.sums.size());
  const bool back = kind == OpKind::all_reduce;
  op.transfer.sent = f32_bytes(sent + (back ? own * (members.count() - 1) : 0));
  op.transfer.received = f32_bytes(arriving + (back ? all - own : 0));
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
    collective(OpKind::all_reduce, "partial_gradients", Group::tensor, f32_bytes(bucket.partial),
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
    sum_over(OpKind::all_reduce, "tied_gradients", Group::embedding, here, std::move(sum),
             {{Slot::gradients, a.reduced, Access::update}});
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

/// Operand copies and vectors as evaluation reads them, or as training does again.
void Builder::refresh(Phase phase, BufferId from) {
  at_ = {phase, Pass::step, -1, options_.place.pp, -1, {}};
  if (operand_weights_ < 0) return;
  Operation& op = emit(OpKind::refresh_operands, {{Slot::weights, from, Access::read}});
  add(op, Slot::operand_weights, operand_weights_, Access::update);
  if (vectors_ >= 0) add(op, Slot::vectors, vectors_, Access::update);
  gather_updated();
}

/// ZeRO 1 and 2: what the owners have updated, to all who read it.
void Builder::gather_updated() {
  if (zero_ != 1 && zero_ != 2) return;
  for (std::size_t i = 0; i < holdings_.buckets.size(); ++i) {
    const int index = static_cast<int>(i);
    const Bucket& bucket = holdings_.buckets[i];
    const Division& d = divisions_[i];
    at_.stage = bucket.stage;
    at_.layer = bucket.layer;
    at_.part = bucket.part;
    if (d.parts == 1) continue;
    const auto in_place = [&](Gather gather) {
      gather.own = gather.of_member[d.index];
      return gather;
    };
    if (!shards_masters()) {
      Gather gather;
      for (int member = 0; member < d.parts; ++member)
        gather.of_member.push_back({{d.weights + d.cuts[member], d.cuts[member + 1] - d.cuts[member]}});
      all_gather("weights", index, in_place(std::move(gather)), ElementType::f32, {{Slot::weights, weights_, Access::update}});
      continue;
    }
    all_gather("weights", index, in_place(gather_of_products(index, d.products)), operand_,
               {{Slot::operand_weights, operand_weights_, Access::update}});
    all_gather("vectors", index, in_place(gather_of_vectors(index, d.vectors)), ElementType::f32,
               {{Slot::vectors, vectors_, Access::update}});
  }
}

}  // namespace longhaul::program
