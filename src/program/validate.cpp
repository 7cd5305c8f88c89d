// What every program and every job of programs must satisfy, checked without using how they were made.
#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <tuple>

#include "program/program.h"

namespace longhaul::program {
namespace {

using Complaints = std::vector<std::string>;

/// "pipeline rank 1", or "rank 5" where the programs are those of all ranks.
std::string rank_name(std::span<const Program> ranks, std::size_t rank) {
  const bool pipeline = std::ssize(ranks) == ranks.front().layout.pp;
  return fmt::format("{}{}", pipeline ? "pipeline rank " : "rank ", rank);
}

/// Buffers that live now, by offset.
class LiveBuffers {
 public:
  explicit LiveBuffers(Complaints& complaints) : complaints_(complaints) {}

  void enter(const Buffer& buffer) {
    if (buffer.size().value == 0) return;
    const auto after = live_.lower_bound(buffer.offset);
    if (after != live_.end() && after->first < buffer.offset + buffer.size().value) overlap(*after->second, buffer);
    if (after != live_.begin()) {
      const Buffer& before = *std::prev(after)->second;
      if (before.offset + before.size().value > buffer.offset) overlap(before, buffer);
    }
    live_.emplace(buffer.offset, &buffer);
  }
  void leave(const Buffer& buffer) {
    const auto found = live_.find(buffer.offset);
    if (found != live_.end() && found->second == &buffer) live_.erase(found);
  }

 private:
  void overlap(const Buffer& a, const Buffer& b) {
    complaints_.push_back(fmt::format("buffers {} and {} live at once and overlap", a.name, b.name));
  }
  Complaints& complaints_;
  std::map<std::int64_t, const Buffer*> live_;
};

void check_buffers(const Program& program, Complaints& complaints) {
  const int operations = static_cast<int>(program.operations.size());
  std::vector<std::vector<const Buffer*>> first(operations), last(operations);
  LiveBuffers live(complaints);
  for (const Buffer& buffer : program.buffers) {
    if (buffer.offset % kAlignment != 0 || buffer.offset + buffer.size().value > program.arena.value)
      complaints.push_back(fmt::format("buffer {} does not lie in the arena", buffer.name));
    if (buffer.persistent) {
      live.enter(buffer);
    } else if (buffer.first_op >= 0) {
      first[std::min(buffer.first_op, operations - 1)].push_back(&buffer);
      last[std::clamp(buffer.last_op, 0, operations - 1)].push_back(&buffer);
    }
  }
  for (int i = 0; i < operations; ++i) {
    for (const Buffer* buffer : first[i]) live.enter(*buffer);
    for (const Buffer* buffer : last[i]) live.leave(*buffer);
  }
}

/// Operations in which a weight gradient's chain goes on.
bool continues_chain(const Operation& op) {
  const bool backward = op.pass == Pass::backward || op.pass == Pass::input_gradient || op.pass == Pass::weight_gradient;
  return backward && op.micro_batch >= 0 && !is_transfer(op.kind);
}

void check_transfer(const Operation& op, Complaints& complaints) {
  if (is_collective(op.kind) && (op.transfer.ranks < 2 || op.transfer.what.empty()))
    complaints.push_back(fmt::format("{} is a collective of {} rank(s)", id(op), op.transfer.ranks));
  if ((op.kind == OpKind::send || op.kind == OpKind::receive) && op.transfer.peer < 0)
    complaints.push_back(fmt::format("{} has no other end", id(op)));
  if (is_transfer(op.kind) && op.transfer.bytes.value <= 0) complaints.push_back(fmt::format("{} moves no bytes", id(op)));
}

void check_operations(const Program& program, Complaints& complaints) {
  std::vector<bool> written(program.buffers.size());
  for (std::size_t i = 0; i < program.buffers.size(); ++i) written[i] = program.buffers[i].persistent;
  std::map<std::tuple<OpKind, Pass, int, int, NormPlace>, int> last_micro_batch;
  for (std::size_t i = 0; i < program.operations.size(); ++i) {
    const Operation& op = program.operations[i];
    for (int dependency : op.depends_on)
      if (dependency < 0 || dependency >= static_cast<int>(i)) complaints.push_back(fmt::format("{} depends on a later operation", id(op)));
    for (const BufferUse& use : op.uses) {
      const Buffer& buffer = program.buffers[use.buffer];
      if (use.access != Access::write && !written[use.buffer])
        complaints.push_back(fmt::format("{} reads {} before anything wrote it", id(op), buffer.name));
      if (!buffer.persistent && (static_cast<int>(i) < buffer.first_op || static_cast<int>(i) > buffer.last_op))
        complaints.push_back(fmt::format("{} uses {} outside its lifetime", id(op), buffer.name));
    }
    for (const BufferUse& use : op.uses) written[use.buffer] = written[use.buffer] || use.access != Access::read;
    check_transfer(op, complaints);
    if (!continues_chain(op)) continue;
    auto [entry, fresh] = last_micro_batch.try_emplace({op.kind, op.pass, op.stage, op.layer, op.norm}, op.micro_batch);
    if (!fresh && op.micro_batch <= entry->second)
      complaints.push_back(fmt::format("{} comes after micro-batch {}: weight gradients must rise", id(op), entry->second));
    entry->second = op.micro_batch;
  }
}

/// Plays the programs of all ranks, or of one for each pipeline rank, without time. Sends are buffered; receives wait, and so do
/// collectives whose members are all here.
class Job {
 public:
  Job(std::span<const Program> ranks, Complaints& complaints)
      : ranks_(ranks), complaints_(complaints), whole_(is_whole(ranks)), next_(ranks.size(), 0) {
    for (std::size_t rank = 0; rank < ranks_.size(); ++rank)
      for (const Operation& op : ranks_[rank].operations)
        if (is_collective(op.kind) && spans_pipeline(op.transfer.group)) across_[op.transfer.group].insert(rank);
  }
  static bool is_whole(std::span<const Program> ranks) {
    return !ranks.empty() && std::ssize(ranks) == ranks.front().layout.world() && ranks.front().layout.world() > ranks.front().layout.pp;
  }

  void play() {
    for (bool moved = true; moved;) {
      moved = false;
      for (std::size_t rank = 0; rank < ranks_.size(); ++rank)
        while (!ended(rank) && take(rank)) {
          ++next_[rank];
          moved = true;
        }
      for (std::size_t rank = 0; rank < ranks_.size(); ++rank) moved = (!ended(rank) && meet(rank)) || moved;
    }
    for (std::size_t rank = 0; rank < ranks_.size(); ++rank)
      if (!ended(rank)) complain_of_waiting(rank);
    for (const auto& [channel, messages] : on_their_way_)
      for (const Operation* op : messages)
        complaints_.push_back(fmt::format("{}: {} has no receive on rank {}", named(std::get<0>(channel)), id(*op), std::get<1>(channel)));
  }

 private:
  /// From, to, what. The activations and the gradients between two ranks are two streams.
  using Channel = std::tuple<int, int, std::string_view>;

  bool ended(std::size_t rank) const { return next_[rank] == ranks_[rank].operations.size(); }
  const Operation& at(std::size_t rank) const { return ranks_[rank].operations[next_[rank]]; }
  std::string named(std::size_t rank) const { return rank_name(ranks_, rank); }
  int peer_of(std::size_t rank) const { return whole_ ? ranks_[rank].rank_of_stage(at(rank).transfer.peer) : at(rank).transfer.peer; }
  /// Members of the collective's group among the programs at hand, if it waits for any.
  std::set<std::size_t> members(std::size_t rank, Group group) const {
    if (!whole_) return spans_pipeline(group) ? across_.at(group) : std::set<std::size_t>{};
    const Members all = ranks_[rank].members(group);
    return {all.ranks.begin(), all.ranks.end()};
  }

  /// True when the operation could run now.
  bool take(std::size_t rank) {
    const Operation& op = at(rank);
    const int here = static_cast<int>(rank);
    if (op.kind == OpKind::send) on_their_way_[{here, peer_of(rank), op.transfer.what}].push_back(&op);
    if (op.kind == OpKind::receive) {
      auto& messages = on_their_way_[{peer_of(rank), here, op.transfer.what}];
      if (messages.empty()) return false;
      compare(*messages.front(), op, rank);
      messages.pop_front();
    }
    return !is_collective(op.kind) || members(rank, op.transfer.group).empty();
  }

  void compare(const Operation& sent, const Operation& received, std::size_t rank) {
    const auto wrong = [&](const std::string& what) {
      complaints_.push_back(
          fmt::format("{}: {} receives {} of rank {}: {}", named(rank), id(received), id(sent), received.transfer.peer, what));
    };
    const int step = received.pass == Pass::forward ? 1 : -1;
    if (sent.micro_batch != received.micro_batch || sent.stage + step != received.stage) wrong("the two ranks' orders differ");
    if (sent.transfer.bytes != received.transfer.bytes)
      wrong(fmt::format("{} bytes are sent, {} expected", sent.transfer.bytes.value, received.transfer.bytes.value));
  }

  /// A collective runs when all members have come to one of its group.
  bool meet(std::size_t here) {
    if (!is_collective(at(here).kind)) return false;
    const Group group = at(here).transfer.group;
    const std::set<std::size_t> all = members(here, group);
    if (all.empty() || *all.begin() != here) return false;
    for (const std::size_t rank : all)
      if (ended(rank) || !is_collective(at(rank).kind) || at(rank).transfer.group != group) return false;
    const Operation& first = at(here);
    for (const std::size_t rank : all) {
      const Operation& op = at(rank);
      if (op.kind != first.kind || op.transfer.what != first.transfer.what || op.transfer.bytes != first.transfer.bytes)
        complaints_.push_back(fmt::format("group {}: {} comes to {} ({} bytes), rank {} to {} ({} bytes)", name(group), named(here),
                                          id(first), first.transfer.bytes.value, rank, id(op), op.transfer.bytes.value));
    }
    for (const std::size_t rank : all) ++next_[rank];
    return true;
  }

  void complain_of_waiting(std::size_t rank) {
    const Operation& op = at(rank);
    complaints_.push_back(op.kind == OpKind::receive ? fmt::format("{}: {} waits for a message that rank {} does not send before",
                                                                   named(rank), id(op), op.transfer.peer)
                                                     : fmt::format("{}: {} waits for ranks that do not come to it", named(rank), id(op)));
  }

  const std::span<const Program> ranks_;
  Complaints& complaints_;
  const bool whole_;
  std::vector<std::size_t> next_;
  std::map<Channel, std::deque<const Operation*>> on_their_way_;
  std::map<Group, std::set<std::size_t>> across_;
};

/// Every collective of a group names the same number of ranks; one of all pipeline ranks is on all of them.
void check_groups(std::span<const Program> ranks, Complaints& complaints) {
  const bool whole = Job::is_whole(ranks);
  std::map<Group, const Operation*> first;
  std::map<Group, std::set<std::size_t>> members;
  for (std::size_t rank = 0; rank < ranks.size(); ++rank)
    for (const Operation& op : ranks[rank].operations) {
      if (!is_collective(op.kind)) continue;
      const Operation& known = *first.try_emplace(op.transfer.group, &op).first->second;
      if (known.transfer.ranks != op.transfer.ranks)
        complaints.push_back(fmt::format("{}: {} has {} ranks of group {}, {} has {}", rank_name(ranks, rank), id(op), op.transfer.ranks,
                                         name(op.transfer.group), id(known), known.transfer.ranks));
      members[op.transfer.group].insert(rank);
    }
  for (const auto& [group, ranks_of_it] : members) {
    if (whole) break;  // the play meets them by name
    const std::size_t wanted = group == Group::world ? ranks.size() : group == Group::embedding ? 2 : ranks_of_it.size();
    if (ranks_of_it.size() != wanted)
      complaints.push_back(fmt::format("group {}: {} of {} pipeline ranks take part", name(group), ranks_of_it.size(), wanted));
  }
}

}  // namespace

std::vector<std::string> validate(const Program& program) {
  Complaints complaints;
  check_buffers(program, complaints);
  check_operations(program, complaints);
  return complaints;
}

std::vector<std::string> validate(std::span<const Program> ranks) {
  Complaints complaints;
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    const Program& program = ranks[rank];
    const int is = Job::is_whole(ranks) ? rank_of(program.place, program.layout) : program.place.pp;
    if (is != static_cast<int>(rank))
      complaints.push_back(fmt::format("program {} is that of {}", rank, rank_name(ranks, static_cast<std::size_t>(is))));
    for (const std::string& complaint : validate(program)) complaints.push_back(fmt::format("{}: {}", rank_name(ranks, rank), complaint));
  }
  check_groups(ranks, complaints);
  Job(ranks, complaints).play();
  return complaints;
}

}  // namespace longhaul::program
