// The states of a rank and what is exchanged of them: persistent buffers, ZeRO's pieces, accumulators of leaves and their tree, the end of
// a step.
#include <fmt/format.h>

#include "program/builder.h"

namespace longhaul::program {
namespace {

/// Squares are summed over blocks of so many elements (numerics contract, Norms).
constexpr std::int64_t kNormBlock = 65536;

std::int64_t rounded_up(std::int64_t count, std::int64_t multiple) { return (count + multiple - 1) / multiple * multiple; }
Bytes f32_bytes(std::int64_t elements) { return Bytes(elements * size_of(ElementType::f32)); }

}  // namespace

int Builder::shards(const Bucket& bucket) const { return zero_ == 0 ? 1 : ranks(bucket.experts ? Group::expert_shard : Group::shard); }

/// Elements of the largest piece. Pieces start at 64 bytes.
std::int64_t Builder::piece(std::int64_t elements, const Bucket& bucket) const {
  const int parts = shards(bucket);
  return parts == 1 ? elements : rounded_up((elements + parts - 1) / parts, kWeightAlignment);
}

/// By ZeRO stage (Rajbhandari et al. 2020 §5): from 1 the moments are divided, with bf16 operands also the master weights, whose norms and
/// biases are then kept whole beside them; at 3 also what products read.
void Builder::declare_persistent() {
  std::int64_t weights = 0, divided = 0, vectors = 0, products = 0;
  for (const Bucket& bucket : holdings_.buckets) {
    weights += bucket.weights;
    divided += piece(bucket.weights, bucket);
    vectors += rounded_up(bucket.vectors, kWeightAlignment);
    products = rounded_up(products, kOperandAlignment) + (zero_ == 3 ? piece(bucket.products, bucket) : bucket.products);
  }
  weights_ = buffer("weights", MemoryLine::weights, ElementType::f32, shards_masters() ? divided : weights, true);
  if (options_.training) {
    moment1_ = buffer("moment1", MemoryLine::moments, ElementType::f32, divided, true);
    moment2_ = buffer("moment2", MemoryLine::moments, ElementType::f32, divided, true);
  }
  if (options_.training && options_.average) average_ = buffer("average", MemoryLine::average, ElementType::f32, divided, true);
  if (operand_ != ElementType::f32) operand_weights_ = buffer("operand_weights", MemoryLine::operand_copies, operand_, products, true);
  if (shards_masters() && zero_ < 3) vectors_ = buffer("vectors", MemoryLine::weights, ElementType::f32, vectors, true);
}

BufferUse Builder::product_weights() const {
  if (gathered_ >= 0) return {Slot::operand_weights, gathered_, Access::read};
  return {Slot::operand_weights, operand_weights_ >= 0 ? operand_weights_ : weights_, Access::read};
}
BufferUse Builder::expert_weights() const {
  if (gathered_experts_ >= 0) return {Slot::operand_weights, gathered_experts_, Access::read};
  return expert_bucket() == layer_bucket()
             ? product_weights()
             : BufferUse{Slot::operand_weights, operand_weights_ >= 0 ? operand_weights_ : weights_, Access::read};
}
BufferUse Builder::vector_weights() const {
  if (gathered_ >= 0) return {Slot::weights, gathered_, Access::read};
  return {Slot::weights, vectors_ >= 0 ? vectors_ : weights_, Access::read};
}

/// What operations read of a bucket: operands and fp32 vectors.
Bytes Builder::read_bytes(const Bucket& bucket) const {
  return Bytes(bucket.products * size_of(operand_) + bucket.vectors * size_of(ElementType::f32));
}

/// ZeRO 3: a bucket's weights are gathered before its operations and live until the last of them.
void Builder::gather_weights(int index) {
  const Bucket& bucket = holdings_.buckets[index];
  BufferId& gathered = bucket.experts ? gathered_experts_ : gathered_;
  gathered = -1;
  if (zero_ < 3 || shards(bucket) == 1 || read_bytes(bucket).value == 0) return;
  const Place here = at_;
  at_.part = bucket.part;
  const std::string part = bucket.part.empty() ? "" : fmt::format("{}.", bucket.part);
  gathered = buffer(prefix() + part + "weights", MemoryLine::gathered_weights, ElementType::u8, read_bytes(bucket).value);
  std::vector<BufferUse> uses = {{Slot::weights, weights_, Access::read}, {Slot::y, gathered, Access::write}};
  if (operand_weights_ >= 0) uses.push_back({Slot::operand_weights, operand_weights_, Access::read});
  collective(OpKind::all_gather, "weights", bucket.experts ? Group::expert_shard : Group::shard, read_bytes(bucket), std::move(uses));
  go(here);
}

// ---- gradients ------------------------------------------------------------------------------------------------------------------

bool Builder::scatters_each(const Bucket& bucket) const {
  return options_.scatter == GradientScatter::every_micro_batch && zero_ >= 2 && shards(bucket) > 1;
}

/// Where pieces are handed over after every micro-batch, chains and accumulators end with it.
int Builder::micro_batches_of_leaf(const Bucket& bucket) const {
  return scatters_each(bucket) ? 1 : options_.batch.micro_batches / options_.batch.virtual_ranks;
}

/// The accumulator in which this micro-batch's chains run; zeroed where they begin.
BufferUse Builder::accumulate(int bucket) {
  const int leaf = at_.micro_batch / micro_batches_of_leaf(holdings_.buckets[bucket]);
  auto [open, fresh] = accumulators_[bucket].open.try_emplace(leaf, -1);
  if (fresh) open->second = begin_leaf(bucket, leaf);
  return {Slot::gradients, open->second, Access::update};
}

BufferId Builder::begin_leaf(int index, int leaf) {
  const Bucket& bucket = holdings_.buckets[index];
  const Place here = go({Phase::gradients, Pass::step, -1, bucket.stage, bucket.layer, bucket.part});
  const BufferId gradients = buffer(fmt::format("gradients.leaf{}{}{}", leaf, bucket.name().empty() ? "" : ".", bucket.name()),
                                    MemoryLine::gradients, ElementType::f32, bucket.gradients);
  emit(OpKind::leaf_begin, {{Slot::gradients, gradients, Access::write}});
  go(here);
  return gradients;
}

/// After a bucket's last operation of a micro-batch: when that ends a leaf, its accumulator enters the tree; when it ends the last leaf,
/// the bucket is exchanged. A rank alone has nothing to wait for and begins the next leaf at once.
void Builder::end_chains(int index) {
  const Bucket& bucket = holdings_.buckets[index];
  const int of_leaf = micro_batches_of_leaf(bucket), leaf = at_.micro_batch / of_leaf, leaves = options_.batch.micro_batches / of_leaf;
  if (at_.micro_batch % of_leaf != of_leaf - 1) return;
  const auto open = accumulators_[index].open.extract(leaf);
  if (open.empty()) return;  // nothing of this bucket has a gradient: a stage without layers
  const Place here = go({Phase::gradients, Pass::step, -1, bucket.stage, bucket.layer, bucket.part});
  const bool last = leaf + 1 == leaves;
  if (scatters_each(bucket))
    exchange_gradients(index, open.mapped(), last);
  else
    add_to_tree(index, open.mapped(), last);
  if (alone_ && !last) accumulators_[index].open.emplace(leaf + 1, begin_leaf(index, leaf + 1));
  go(here);
}

/// The tree over leaves splits at the largest power of two below n, left part first: complete subtrees are merged as they appear, like the
/// carries of a binary counter, and what remains is folded from the right. So popcount(v)+1 accumulators live at once.
void Builder::add_to_tree(int bucket, BufferId gradients, bool last) {
  Accumulators& accumulators = accumulators_[bucket];
  auto& complete = accumulators.complete;
  complete.push_back({gradients, 1});
  while (complete.size() > 1 && (last || complete[complete.size() - 2].leaves == complete.back().leaves)) combine(accumulators);
  if (last) exchange_gradients(bucket, complete.back().gradients, true);
}

void Builder::combine(Accumulators& accumulators) {
  const Accumulators::Subtree right = accumulators.complete.back();
  accumulators.complete.pop_back();
  Accumulators::Subtree& left = accumulators.complete.back();
  emit(OpKind::leaf_combine, {{Slot::gradients, left.gradients, Access::update}, {Slot::other_gradients, right.gradients, Access::read}});
  left.leaves += right.leaves;
}

/// Adds up what the ranks of a bucket's group have: all-reduce, or pieces to their owners and, where several ranks hold the same piece,
/// an all-reduce of pieces. @param last  no micro-batch follows
void Builder::exchange_gradients(int index, BufferId whole, bool last) {
  const Bucket& bucket = holdings_.buckets[index];
  BufferId& reduced = accumulators_[index].reduced;
  const Bytes bytes = f32_bytes(bucket.gradients);
  if (bucket.partial > 0)
    collective(OpKind::all_reduce, "partial_gradients", Group::tensor, f32_bytes(bucket.partial),
               {{Slot::gradients, whole, Access::update}});
  if (shards(bucket) == 1) {
    reduced = whole;
    collective(OpKind::all_reduce, "gradients", bucket.experts ? Group::expert_data : Group::data, bytes,
               {{Slot::gradients, whole, Access::update}});
    return;
  }
  const Group shard = bucket.experts ? Group::expert_shard : Group::shard;
  if (zero_ == 1) {  // the owner adds in its place
    reduced = whole;
    collective(OpKind::reduce_scatter, "gradients", shard, bytes, {{Slot::gradients, whole, Access::update}});
  } else {
    const Access access = reduced < 0 ? Access::write : Access::update;
    if (reduced < 0)
      reduced = buffer("gradients.piece." + bucket.name(), MemoryLine::gradients, ElementType::f32, piece(bucket.gradients, bucket));
    collective(OpKind::reduce_scatter, "gradients", shard, bytes,
               {{Slot::other_gradients, whole, Access::read}, {Slot::gradients, reduced, access}});
  }
  if (last)
    collective(OpKind::all_reduce, "gradient_pieces", bucket.experts ? Group::expert_replica : Group::replica,
               f32_bytes(piece(bucket.gradients, bucket)), {{Slot::gradients, reduced, Access::update}});
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
    const Bytes bytes = f32_bytes(piece(shape_.vocab * shape_.width, holdings_.buckets[here]));
    collective(OpKind::all_reduce, "tied_gradients", Group::embedding, bytes,
               {{Slot::gradients, accumulators_[here].reduced, Access::update}});
  }
}

void Builder::reduce_and_update() {
  at_ = {Phase::gradients, Pass::step, -1, options_.pipeline_rank, -1, {}};
  if (spec_.tied_embeddings) combine_tied();
  std::vector<BufferUse> gradients;
  for (const Accumulators& accumulators : accumulators_)
    if (accumulators.reduced >= 0) gradients.push_back({Slot::gradients, accumulators.reduced, Access::read});
  at_.phase = Phase::norm;
  emit(OpKind::gradient_norm, gradients);
  // The blocks' sums of squares of the whole model and the losses of all leaves, in fp64, to be added in their order by every rank.
  const std::int64_t blocks = (all_parameters_ + kNormBlock - 1) / kNormBlock;
  const std::int64_t leaves = static_cast<std::int64_t>(options_.batch.virtual_ranks) * layout_.dp * layout_.cp;
  collective(OpKind::all_gather, "norm_and_loss", Group::world, Bytes((blocks + leaves) * size_of(ElementType::f64)), {});
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

/// ZeRO 1 and 2: what the owners have updated, to all who read it.
void Builder::gather_updated() {
  if (zero_ != 1 && zero_ != 2) return;
  for (const Bucket& bucket : holdings_.buckets) {
    const Bytes bytes = shards_masters() ? read_bytes(bucket) : f32_bytes(bucket.weights);
    if (bytes.value == 0) continue;
    std::vector<BufferUse> uses;
    if (!shards_masters()) uses.push_back({Slot::weights, weights_, Access::update});
    if (shards_masters() && bucket.products > 0) uses.push_back({Slot::operand_weights, operand_weights_, Access::update});
    if (shards_masters() && bucket.vectors > 0) uses.push_back({Slot::vectors, vectors_, Access::update});
    at_.stage = bucket.stage;
    at_.layer = bucket.layer;
    at_.part = bucket.part;
    collective(OpKind::all_gather, "weights", bucket.experts ? Group::expert_shard : Group::shard, bytes, std::move(uses));
  }
}

}  // namespace longhaul::program
