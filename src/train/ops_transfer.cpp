// Transfers between ranks: messages of a pipeline, pieces of gradients that are added up by the tree, pieces of weights, rows of the
// embedding, the figures of a step. Communication moves bytes; the additions are kernels, in the numerics contract's order.
#include <algorithm>
#include <cstring>

#include "train/handlers.h"

namespace longhaul::train {

namespace {

using program::Segment;

std::span<const std::byte> read_span(const void* data, std::int64_t bytes) {
  return {static_cast<const std::byte*>(data), static_cast<std::size_t>(bytes)};
}
std::span<std::byte> write_span(void* data, std::int64_t bytes) { return {static_cast<std::byte*>(data), static_cast<std::size_t>(bytes)}; }
std::span<const std::byte> floats(const float* data, std::int64_t count) {
  return read_span(data, count * static_cast<std::int64_t>(sizeof(float)));
}
std::span<std::byte> floats(float* data, std::int64_t count) { return write_span(data, count * static_cast<std::int64_t>(sizeof(float))); }

/// A figure on its way.
struct Figure {
  std::int64_t place;
  double value;
};
static_assert(sizeof(Figure) == program::kFigureBytes);

}  // namespace

// ---- messages -------------------------------------------------------------------------------------------------------------------

void OperationHandlers::send(Executor& executor, const Op& op) {
  const Frame f(executor, op);
  executor.machine_.communicator.send(executor.program_.rank_of_stage(op.transfer.peer), op.transfer.what,
                                      read_span(f.raw(Slot::x), op.transfer.bytes.value));
}

void OperationHandlers::receive(Executor& executor, const Op& op) {
  const Frame f(executor, op);
  executor.machine_.communicator.receive(executor.program_.rank_of_stage(op.transfer.peer), op.transfer.what,
                                         write_span(f.raw(Slot::y), op.transfer.bytes.value));
}

// ---- gradients ------------------------------------------------------------------------------------------------------------------

/// The value of a node of the tree: one of the parts, or its left half plus its right half, in the memory of the left one.
OperationHandlers::Subtree OperationHandlers::add_up(Executor& executor, std::vector<Subtree>& parts, program::Leaves node, bool of_leaves,
                                                     program::BufferId buffer, std::int64_t begin, std::int64_t end) {
  for (const Subtree& part : parts)
    if (part.leaves == node) return part;
  const int half = program::left_leaves(node.count);
  const Subtree left = add_up(executor, parts, {node.first, half}, of_leaves, buffer, begin, end);
  const Subtree right = add_up(executor, parts, {node.first + half, node.count - half}, of_leaves, buffer, begin, end);
  if (of_leaves)
    combine_subtrees(executor, left, right, buffer, begin, end);
  else
    kernels::add_into(executor.machine_.context, left.gradients, right.gradients, end - begin);
  return {left.gradients, node};
}

/// Pieces of all subtrees to their owners, and there the tree; of an all-reduce the sums back to all.
void OperationHandlers::sum_pieces(Executor& executor, const Op& op, Slot sources) {
  const program::Sum& sum = executor.program_.sums[static_cast<std::size_t>(op.transfer.sum)];
  const program::Members members = executor.program_.members(op.transfer.group);
  comm::Communicator& communicator = executor.machine_.communicator;
  const std::int64_t own = sum.piece(members.index);

  std::vector<float*> buffers;  // where element cuts[0] of each own subtree lies
  std::vector<float*> results;
  program::BufferId first = -1;
  for (const program::BufferUse& use : op.uses) {
    auto* data = reinterpret_cast<float*>(executor.address(use.buffer));
    if (use.slot == sources) {
      if (first < 0) first = use.buffer;
      buffers.push_back(data + sum.bases[buffers.size()]);
    } else if (use.slot == Slot::gradients) {
      results.push_back(data);
    }
  }
  const auto piece = [&](float* buffer, int member) { return buffer + sum.begin(member) - sum.begin(0); };

  float* arriving = op.has(Slot::workspace) ? executor.get<float>(op, Slot::workspace) : nullptr;
  std::vector<Subtree> parts;
  std::vector<comm::Outgoing> outgoing;
  std::vector<comm::Incoming> incoming;
  for (int m = 0; m < members.count(); ++m) {
    const int rank = members.ranks[static_cast<std::size_t>(m)];
    const std::vector<program::Leaves>& nodes = sum.nodes[static_cast<std::size_t>(m)];
    if (m == members.index) {
      for (std::size_t i = 0; i < nodes.size(); ++i) parts.push_back({piece(buffers[i], m), nodes[i]});
      continue;
    }
    comm::Outgoing out{rank, {}};
    for (float* buffer : buffers) out.parts.push_back(floats(static_cast<const float*>(piece(buffer, m)), sum.piece(m)));
    outgoing.push_back(std::move(out));
    comm::Incoming in{rank, {}};
    for (const program::Leaves& node : nodes) {
      in.parts.push_back(floats(arriving, own));
      parts.push_back({arriving, node});
      arriving += own;
    }
    incoming.push_back(std::move(in));
  }
  communicator.exchange(op.transfer.what, std::move(outgoing), std::move(incoming));

  if (sum.in_place) results.insert(results.begin(), piece(buffers.front(), members.index));
  const std::int64_t begin = sum.bases.front() + sum.begin(members.index) - sum.begin(0);
  std::vector<float*> sums;
  for (const program::Leaves& node : sum.result)
    sums.push_back(own > 0 ? add_up(executor, parts, node, sum.of_leaves, first, begin, begin + own).gradients : nullptr);
  // The place of the first result may hold a later one, so that comes last.
  for (std::size_t i = sums.size(); own > 0 && i-- > 0;)
    if (sums[i] != results[i]) std::copy_n(sums[i], own, results[i]);
}

void OperationHandlers::reduce_scatter(Executor& executor, const Op& op) { sum_pieces(executor, op, Slot::other_gradients); }

void OperationHandlers::all_reduce(Executor& executor, const Op& op) {
  const program::Sum& sum = executor.program_.sums[static_cast<std::size_t>(op.transfer.sum)];
  if (!sum.of_leaves) tied_squares(executor, op.at(Slot::gradients), op.at(Slot::gradients));
  sum_pieces(executor, op, Slot::gradients);
  const program::Members members = executor.program_.members(op.transfer.group);
  float* whole = executor.get<float>(op, Slot::gradients) + sum.bases.front() - sum.begin(0);
  std::vector<comm::Outgoing> outgoing;
  std::vector<comm::Incoming> incoming;
  for (int m = 0; m < members.count(); ++m) {
    if (m == members.index) continue;
    const int rank = members.ranks[static_cast<std::size_t>(m)];
    outgoing.push_back({rank, {floats(static_cast<const float*>(whole + sum.begin(members.index)), sum.piece(members.index))}});
    incoming.push_back({rank, {floats(whole + sum.begin(m), sum.piece(m))}});
  }
  executor.machine_.communicator.exchange(op.transfer.what, std::move(outgoing), std::move(incoming));
}

// ---- weights --------------------------------------------------------------------------------------------------------------------

/// Pieces of weights from their owners to those who read them; in place, or into a buffer that lives as long as they are read.
void OperationHandlers::all_gather(Executor& executor, const Op& op) {
  if (op.transfer.gather < 0) return share_figures(executor, op);
  const program::Gather& gather = executor.program_.gathers[static_cast<std::size_t>(op.transfer.gather)];
  const program::Members members = executor.program_.members(op.transfer.group);
  const program::BufferId from = op.uses.front().buffer, to = op.has(Slot::y) ? op.at(Slot::y) : from;
  const bool takes = op.has(Slot::y) || op.uses.front().access == program::Access::update;
  const std::int64_t size = size_of(executor.program_.buffers[from].type);
  const auto parts_of = [&](const std::vector<Segment>& segments, program::BufferId buffer) {
    std::vector<std::span<std::byte>> parts;
    for (const Segment& s : segments) parts.push_back(write_span(executor.address(buffer) + s.offset * size, s.count * size));
    return parts;
  };
  const std::vector<std::span<std::byte>> own = parts_of(gather.own, from);
  std::vector<comm::Outgoing> outgoing;
  std::vector<comm::Incoming> incoming;
  for (int m = 0; m < members.count(); ++m) {
    const std::vector<Segment>& segments = gather.of_member[static_cast<std::size_t>(m)];
    const int rank = members.ranks[static_cast<std::size_t>(m)];
    if (m == members.index) {
      const std::vector<std::span<std::byte>> place = parts_of(segments, to);
      for (std::size_t i = 0; takes && to != from && i < own.size(); ++i) std::memcpy(place[i].data(), own[i].data(), own[i].size());
      continue;
    }
    if (m < op.transfer.takers) outgoing.push_back({rank, {own.begin(), own.end()}});
    if (takes) incoming.push_back({rank, parts_of(segments, to)});
  }
  executor.machine_.communicator.exchange(op.transfer.what, std::move(outgoing), std::move(incoming));
}

/// Rows of the embedding: those that the micro-batch's tokens ask for, each once, by rising token; of learned positions all. A row may be
/// cut between owners.
void OperationHandlers::all_to_all(Executor& executor, const Op& op) {
  const Frame f(executor, op);
  const program::Program& program = executor.program_;
  const program::Members members = program.members(op.transfer.group);
  comm::Communicator& communicator = executor.machine_.communicator;
  const std::int64_t n = f.tokens(), width = f.shape().width;
  const int token_table = f.index_of(*f.machine().table.find(model::Role::token_embedding));
  const bool takes = op.has(Slot::y);

  using Rows = std::vector<std::int32_t>;
  Rows wanted(static_cast<std::size_t>(n) + 1, 0);  // their number, then the rows, padded to a size that all know
  if (takes) {
    const std::int32_t* ids = f.batch().tokens.data() + f.first_token();
    Rows rows(ids, ids + n);
    std::sort(rows.begin(), rows.end());
    rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
    wanted[0] = static_cast<std::int32_t>(rows.size());
    std::copy(rows.begin(), rows.end(), wanted.begin() + 1);
    executor.row_of_token_.resize(static_cast<std::size_t>(n));
    for (std::int64_t i = 0; i < n; ++i)
      executor.row_of_token_[static_cast<std::size_t>(i)] =
          static_cast<std::int32_t>(std::lower_bound(rows.begin(), rows.end(), ids[i]) - rows.begin());
  }
  std::vector<Rows> asked(members.ranks.size(), wanted);
  std::vector<comm::Outgoing> outgoing;
  std::vector<comm::Incoming> incoming;
  for (int m = 0; m < members.count(); ++m) {
    if (m == members.index) continue;
    const int rank = members.ranks[static_cast<std::size_t>(m)];
    if (takes) outgoing.push_back({rank, {std::as_bytes(std::span(wanted))}});
    if (m < op.transfer.takers) incoming.push_back({rank, {std::as_writable_bytes(std::span(asked[static_cast<std::size_t>(m)]))}});
  }
  communicator.exchange("row_numbers", std::move(outgoing), std::move(incoming));

  // Of what one rank asks, the elements that one owner has, in order: place(element of the tensor, element of the asked rows, count).
  const auto each_piece = [&](const Rows& of, int owner, const auto& place) {
    const program::Arrangement& owned = program.table_owners[static_cast<std::size_t>(owner)];
    for (const program::Placed& placed : owned.placed()) {
      const auto row_piece = [&](std::int64_t row, std::int64_t at) {
        const std::int64_t begin = std::max(placed.begin, row * width), end = std::min(placed.end, (row + 1) * width);
        if (begin < end) place(placed.tensor, begin, at * width + begin - row * width, end - begin);
      };
      if (placed.tensor == token_table) {
        for (std::int32_t i = 0; i < of[0]; ++i) row_piece(of[static_cast<std::size_t>(i) + 1], i);
      } else {
        for (std::int64_t row = placed.begin / width; row <= (placed.end - 1) / width && row < f.plan().sequence_length; ++row)
          row_piece(row, n + row);
      }
    }
  };
  outgoing.clear();
  incoming.clear();
  const program::BufferId weights = op.at(Slot::weights);
  auto* filled = takes ? f.f32(Slot::y) : nullptr;
  for (int m = 0; m < members.count(); ++m) {
    const int rank = members.ranks[static_cast<std::size_t>(m)];
    if (m == members.index) {
      if (takes)
        each_piece(wanted, m, [&](int tensor, std::int64_t element, std::int64_t at, std::int64_t count) {
          std::copy_n(executor.find<const float>(weights, tensor, false, element), count, filled + at);
        });
      continue;
    }
    comm::Outgoing out{rank, {}};
    if (m < op.transfer.takers)
      each_piece(asked[static_cast<std::size_t>(m)], members.index,
                 [&](int tensor, std::int64_t element, std::int64_t, std::int64_t count) {
                   out.parts.push_back(floats(executor.find<const float>(weights, tensor, false, element), count));
                 });
    outgoing.push_back(std::move(out));
    comm::Incoming in{rank, {}};
    if (takes)
      each_piece(wanted, m,
                 [&](int, std::int64_t, std::int64_t at, std::int64_t count) { in.parts.push_back(floats(filled + at, count)); });
    incoming.push_back(std::move(in));
  }
  communicator.exchange(op.transfer.what, std::move(outgoing), std::move(incoming));
}

// ---- figures --------------------------------------------------------------------------------------------------------------------

void OperationHandlers::share_figures(Executor& executor, const Op& op) {
  comm::Communicator& communicator = executor.machine_.communicator;
  std::vector<Figure> own;
  for (const std::int64_t place : executor.own_figures_) own.push_back({place, executor.figures_[static_cast<std::size_t>(place)]});
  const std::vector<std::vector<std::byte>> all = communicator.all_gather(op.transfer.what, std::as_bytes(std::span(own)));
  for (const std::vector<std::byte>& of_rank : all)
    for (std::size_t i = 0; i + sizeof(Figure) <= of_rank.size(); i += sizeof(Figure)) {
      Figure figure{};
      std::memcpy(&figure, of_rank.data() + i, sizeof figure);
      executor.figures_[static_cast<std::size_t>(figure.place)] = figure.value;
    }
}

}  // namespace longhaul::train
