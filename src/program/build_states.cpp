// The states of a rank and what others read of them: persistent buffers, ZeRO's pieces, weights gathered and handed on.
#include <fmt/format.h>

#include <algorithm>

#include "program/builder.h"

namespace longhaul::program {
namespace {

/// The same tensors, further on in a larger buffer.
void append(Arrangement& all, const Arrangement& part, std::int64_t base) {
  for (Placed placed : part.placed()) {
    placed.offset += base;
    all.add(placed);
  }
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
    all_gather(
        "weights", index, std::move(gather), operand_,
        {{operand_weights_ >= 0 ? Slot::operand_weights : Slot::weights, from, Access::read}, {Slot::y, gathered.products, Access::write}});
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

// ---- what an update or an evaluation changes -------------------------------------------------------------------------------------

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
