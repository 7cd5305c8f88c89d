// program/program.h — one optimizer step as a list of operations with dependencies and buffer lifetimes.
//
// The same object is executed by the trainer on the machine and by the planner on a clock; both report per operation id
// (`mb3/s0/L11/attn.fwd`: micro-batch, stage, layer, operation). Buffer lifetimes, taken from first and last use, give the planned
// peak and the offsets in the one arena that the trainer allocates. The list is in an order that respects every dependency, so a
// rank can run it from top to bottom; the dependencies say what else could overlap. Transfers between ranks are operations of this
// list too: they read and write buffers like the others.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "program/arrangement.h"
#include "program/batch_plan.h"
#include "program/layout.h"
#include "program/place.h"
#include "program/shape.h"
#include "units/element_type.h"
#include "units/units.h"

namespace longhaul::program {

inline constexpr std::int64_t kAlignment = 64;  ///< of a buffer in the arena, bytes: a cache line, and one 512-bit vector

/// What an operation computes. The slots each kind uses are listed in docs/program.md and read by the trainer's table of handlers.
enum class OpKind : std::uint8_t {
  embed_forward,
  norm_forward,
  qkv_forward,  ///< projection to queries, keys, values; bias, qk-norm, rotation
  attention_forward,
  attention_out_forward,  ///< output projection, bias, residual
  mlp_up_forward,         ///< up (and gate) projection, activation
  mlp_down_forward,       ///< down projection, bias, residual
  head_loss,              ///< head, cross-entropy, and their gradients, by blocks of tokens
  head_loss_evaluate,     ///< token losses only
  norm_backward,
  mlp_down_backward,
  mlp_up_backward,
  attention_out_backward,
  attention_backward,
  qkv_backward,
  embed_backward,
  refresh_operands,  ///< operand copies and vectors from the weights that evaluation reads
  leaf_begin,        ///< zero the accumulators of a gradient leaf (every chain starts at +0)
  leaf_combine,      ///< one node of the tree over leaves: x += y
  tied_combine,      ///< head gradient added once to the embedding gradient
  gradient_norm,     ///< global norm of the reduced gradient
  update,            ///< clip, AdamW, EMA, operand copies
  latent_forward,    ///< down projections to latents and their norms (latent attention)
  latent_backward,
  router_forward,    ///< scores of all experts, the choice of top_k
  dispatch_forward,  ///< rows in the order of their experts
  expert_up_forward,
  expert_down_forward,
  combine_forward,  ///< a token's rows, back in its place, added up; residual
  combine_backward,
  expert_down_backward,
  expert_up_backward,
  dispatch_backward,
  router_backward,
  send,  ///< to pipeline rank transfer.peer
  receive,
  all_reduce,
  all_gather,
  reduce_scatter,  ///< pieces to their owners, who add them by the tree: communication moves, arithmetic is ours
  all_to_all,
};
bool is_collective(OpKind kind);
/// A message between pipeline ranks or a collective.
bool is_transfer(OpKind kind);

/// Which part of the step an operation belongs to; the loop decides between parts (accounting A2, F5).
/// An evaluation's program has three parts too: what is read is made ready, batches are evaluated, the weights of training are put back.
enum class Phase : std::uint8_t { gradients, norm, update, prepare, restore };
/// The name's suffix: .fwd, .rec (recompute), .bwd, none; of a split backward .dgrad and .wgrad.
enum class Pass : std::uint8_t { forward, recompute, backward, step, input_gradient, weight_gradient };

/// Lines of the memory account (accounting B); every buffer belongs to one.
enum class MemoryLine : std::uint8_t {
  weights,
  operand_copies,
  gradients,
  moments,
  average,
  activations,
  activation_gradients,
  logits,
  workspace,
  gathered_weights,  ///< of ZeRO 3, while a layer runs
  communication,     ///< rows gathered for a product, partial sums on their way
};
inline constexpr int kMemoryLines = 11;
std::string_view name(MemoryLine line);

/// Roles of an operation's buffers.
enum class Slot : std::uint8_t {
  x,           ///< input rows (residual stream or operand)
  y,           ///< output rows
  residual,    ///< residual stream added by the operation
  statistics,  ///< norm statistics
  qkv,         ///< projection output before the split
  q,
  k,
  v,
  head_statistics,  ///< qk-norm statistics
  row_max,
  row_sum,
  gate,
  up,       ///< pre-activations (up alone without a gate)
  scratch,  ///< fp32 result of a GEMM before its epilogue
  operand,  ///< gradient rounded for a GEMM
  operand_gate,
  d_x,
  d_y,
  d_residual,
  d_q,
  d_k,
  d_v,
  token_loss,
  gradients,        ///< accumulators of the leaf, in ParamTable order
  other_gradients,  ///< the right-hand subtree of a combine; what a reduce-scatter divides
  weights,
  operand_weights,
  moment1,
  moment2,
  average,
  workspace,
  scores,  ///< of a token's experts
  d_scores,
  vectors,        ///< norms and biases in fp32, where the master weights are divided
  expert_scores,  ///< the score that goes with each row of an expert
  d_expert_scores,
};
enum class Access : std::uint8_t { read, write, update };

using BufferId = int;

struct Buffer {
  std::string name;
  MemoryLine line{};
  ElementType type{};
  std::int64_t elements = 0;
  bool persistent = false;  ///< lives through every step (weights, moments, …)
  int first_op = -1, last_op = -1;
  std::int64_t offset = 0;  ///< bytes from the arena's start, multiple of kAlignment
  int arrangement = -1;     ///< of Program::arrangements, where the buffer holds tensors or pieces of them

  Bytes size() const { return Bytes(elements * size_of(type)); }
};

struct BufferUse {
  Slot slot;
  BufferId buffer;
  Access access;
};

/// A sum over leaves that is dealt out to the members of a group: each gets its piece of all subtrees and adds them up by the tree.
/// Pieces are ranges of the bucket's accumulators, whichever buffers hold them.
struct Sum {
  std::vector<std::int64_t> cuts;          ///< member m owns elements [cuts[m], cuts[m + 1])
  std::vector<std::int64_t> bases;         ///< where element cuts[0] lies in each of this rank's buffers
  std::vector<std::vector<Leaves>> nodes;  ///< subtrees of each member, in the order of its buffers
  std::vector<Leaves> result;              ///< subtrees that are left when all are added
  int all = 1;                             ///< leaves of the whole tree
  /// The first result stays in this rank's piece of its first buffer; the others, or all, have buffers of a piece each.
  bool in_place = true;
  bool of_leaves = true;  ///< nodes of one leaf are a virtual rank's gradient: their squares are taken on the way
  std::int64_t begin(int member) const { return cuts[static_cast<std::size_t>(member)]; }
  std::int64_t piece(int member) const { return cuts[static_cast<std::size_t>(member) + 1] - begin(member); }
};

/// Consecutive elements of a buffer.
struct Segment {
  std::int64_t offset = 0, count = 0;
};
/// Pieces of a buffer that every member of a group gets from their owners.
struct Gather {
  std::vector<std::vector<Segment>> of_member;  ///< in the buffer that is filled
  std::vector<Segment> own;                     ///< in the buffer that this rank's piece is read from, in the same order
};

/// What an operation exchanges with other ranks. Only transfers have one, and head_loss of a divided vocabulary, which exchanges each
/// block's maxima and sums while it runs.
struct Transfer {
  /// What is moved, in the id: "gradients" in s0/L3/gradients.reduce_scatter. A literal.
  std::string_view what;
  Group group{};
  int ranks = 1;  ///< of the group; of a message 2
  int peer = -1;  ///< of a message: the pipeline rank at its other end
  /// The whole tensor. all_gather: what every rank has afterwards; reduce_scatter: what every rank has before; all_reduce: both;
  /// all_to_all: what one rank has before, its own part included; a message: the message.
  Bytes bytes;
  int sum = -1;     ///< of Program::sums
  int gather = -1;  ///< of Program::gathers
  /// Of a hand-over of weights: how many members get them, the first ones; the others have no micro-batch left and only send. 0: all.
  int takers = 0;
  /// What this rank sends to the others and gets of them, where the pieces are known: with `sum` or `gather`.
  Bytes sent, received;
};

/// Which of the model's norms an operation computes.
enum class NormPlace : std::uint8_t {
  before_attention,
  before_mlp,
  after_layers,     ///< the final norm
  after_embedding,  ///< BLOOM's
};

struct Operation {
  OpKind kind{};
  Phase phase{};
  Pass pass{};
  int micro_batch = -1;
  int stage = 0;  ///< virtual stage, in the order of the model; of operations of the whole step the first one of the rank
  int layer = -1;
  std::string_view part;  ///< of states outside the layers or beside them: the bucket ("embed", "head" …, program/holdings.h); a literal
  NormPlace norm{};       ///< of norms alone
  Leaves left, right;     ///< of leaf_combine: what its two accumulators hold; of leaf_begin the leaf (left)
  std::vector<BufferUse> uses;
  std::vector<int> depends_on;  ///< indices of earlier operations
  Flops flops{};                ///< multiply-adds of its matrix products, counted two each, masks ignored
  Transfer transfer;

  bool has(Slot slot) const;
  BufferId at(Slot slot) const;  ///< the buffer in a slot; asserts that there is one
};

/// `mb3/s0/L11/attn.fwd`
std::string id(const Operation& op);
/// `attn.fwd`: the id without its place, under which times are summed.
std::string short_name(const Operation& op);
/// The phase under which the ledger counts its seconds: forward, recompute, backward, reduce (leaves zeroed, combined), clip, optimizer.
std::string_view ledger_phase(const Operation& op);
/// Bytes that a rank sends: of a message, all; of a collective by a ring or in pieces, (N−1)/N of the tensor, an all-reduce twice that.
double bytes_sent(const Operation& op);

/// What this rank alone answers for of a reduced gradient: the norm's squares of these elements are its to take.
struct Owned {
  BufferId buffer = -1;
  std::int64_t begin = 0, end = 0;  ///< elements of the buffer
};

struct Program {
  std::vector<Operation> operations;
  std::vector<Buffer> buffers;
  std::vector<Arrangement> arrangements;
  std::vector<Sum> sums;
  std::vector<Gather> gathers;
  std::vector<Owned> owned;
  /// Where lookups ask the owners of a row: which elements of the embedding's tables each member of Group::shard has.
  std::vector<Arrangement> table_owners;
  Layout layout;
  Place place;
  BatchPlan batch;
  RankShape shape;
  std::int64_t block = kBlockElements;  ///< elements of the contract's blocks; tests take smaller ones
  std::int64_t kv_heads = 1;            ///< of the model: how many tensor-parallel ranks share a head
  BufferId head = -1;      ///< what products with the head read, of programs that end with it or before it; −1 on other pipeline ranks
  Bytes arena;             ///< size of the one allocation: offsets are packed into it
  Bytes live_peak;         ///< largest sum of live buffers at any operation (the arena's lower bound)
  int peak_operation = 0;  ///< where live_peak is reached

  BufferId find(std::string_view buffer_name) const;  ///< −1 if there is none
  /// What a buffer holds of tensors; nothing for others.
  const Arrangement& arrangement_of(BufferId buffer) const;
  Members members(Group group) const { return members_of(group, layout, place, kv_heads); }
  /// The rank of the world at this rank's place in another pipeline stage.
  int rank_of_stage(int pipeline_rank) const { return rank_of({place.dp, place.tp, pipeline_rank, place.cp}, layout); }
  /// Bytes live at an operation, by memory line.
  std::vector<Bytes> live_by_line(int operation) const;
};

/// Derives dependencies from reads and writes, lifetimes from first and last use, and packs offsets so that no two live buffers
/// overlap. Called by the builder last.
void finish(Program& program);

/// Checks what every program must satisfy: dependencies point back, buffers are written before they are read, no two buffers that
/// live at once overlap, all lie inside the arena, weight gradients of a layer come in rising micro-batch order, a collective has more
/// than one rank and a message a peer.
/// @return sentences naming operation and buffer; empty when the program is valid
std::vector<std::string> validate(const Program& program);

/// Checks a job: the programs of all ranks of the world in order, or one for each pipeline rank, each standing for the ranks that differ
/// from it in tp, cp or dp alone (where their programs are alike, their collectives agree). Beside the above: every message has its other
/// end, with equal bytes, and the two ranks come to their messages in the same order; groups across pipeline ranks (embedding, world) have
/// all their members, who come to the same collectives in the same order with equal bytes; a group has one size; and played from top to
/// bottom by all ranks at once the programs end. Sends are buffered: a send never waits for its receive. Nothing else is.
std::vector<std::string> validate(std::span<const Program> ranks);

}  // namespace longhaul::program
