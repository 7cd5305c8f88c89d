#include "cost/simulate.h"

#include <algorithm>
#include <deque>
#include <map>
#include <stdexcept>
#include <string_view>
#include <tuple>

namespace longhaul::cost {
namespace {

using program::Operation;
using program::OpKind;
using program::Program;

class JobClock {
 public:
  JobClock(std::span<const Program> ranks, const OperationCosts& costs) : programs_(ranks), costs_(costs) {
    result_.ranks.resize(ranks.size());
    for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
      result_.ranks[rank].operations.reserve(ranks[rank].operations.size());
      for (const Operation& op : ranks[rank].operations) {
        if (!meets_others(op)) continue;
        std::vector<std::size_t>& members = members_[op.transfer.group];
        if (members.empty() || members.back() != rank) members.push_back(rank);
      }
    }
  }

  Simulation run() {
    for (bool moved = true; moved;) {
      moved = false;
      for (std::size_t rank = 0; rank < programs_.size(); ++rank)
        while (next(rank) && take(rank)) moved = true;
      for (const auto& [group, members] : members_) moved = meet(group, members) || moved;
    }
    for (std::size_t rank = 0; rank < programs_.size(); ++rank) {
      if (next(rank)) throw std::logic_error("programs that cannot end");
      result_.total = std::max(result_.total, result_.ranks[rank].end);
    }
    return std::move(result_);
  }

 private:
  /// From, to, what: the order of messages of one kind between two ranks.
  using Channel = std::tuple<int, int, std::string_view>;

  static bool meets_others(const Operation& op) { return program::is_collective(op.kind) && program::spans_pipeline(op.transfer.group); }

  /// The rank's next operation; null at the end.
  const Operation* next(std::size_t rank) const {
    const std::size_t done = result_.ranks[rank].operations.size();
    return done < programs_[rank].operations.size() ? &programs_[rank].operations[done] : nullptr;
  }

  bool take(std::size_t rank) {
    const Operation& op = *next(rank);
    if (meets_others(op)) return false;
    double begin = result_.ranks[rank].end;
    const int here = programs_[rank].place.pp, peer = op.transfer.peer;
    if (op.kind == OpKind::send)
      arrivals_[{here, peer, op.transfer.what}].push_back(begin + (costs_.flight ? costs_.flight : costs_.seconds)(programs_[rank], op));
    if (op.kind == OpKind::receive) {
      std::deque<double>& arrivals = arrivals_[{peer, here, op.transfer.what}];
      if (arrivals.empty()) return false;
      begin = std::max(begin, arrivals.front());
      arrivals.pop_front();
    }
    play(rank, op, begin);
    return true;
  }

  bool meet(program::Group group, const std::vector<std::size_t>& members) {
    double begin = 0;
    for (const std::size_t rank : members) {
      const Operation* op = next(rank);
      if (!op || !meets_others(*op) || op->transfer.group != group) return false;
      begin = std::max(begin, result_.ranks[rank].end);
    }
    for (const std::size_t rank : members) play(rank, *next(rank), begin);
    return true;
  }

  void play(std::size_t rank, const Operation& op, double begin) {
    RankTime& time = result_.ranks[rank];
    const double seconds = costs_.seconds(programs_[rank], op);
    (program::is_transfer(op.kind) ? time.transfers : time.compute) += seconds;
    time.end = begin + seconds;
    time.operations.push_back({begin, time.end});
  }

  const std::span<const Program> programs_;
  const OperationCosts& costs_;
  std::map<program::Group, std::vector<std::size_t>> members_;
  std::map<Channel, std::deque<double>> arrivals_;
  Simulation result_;
};

}  // namespace

double Simulation::bubble() const {
  double compute = 0;
  for (const RankTime& rank : ranks) compute += rank.compute;
  const double all = total * static_cast<double>(ranks.size());
  return all > 0 ? 1 - compute / all : 0;
}

Simulation simulate(std::span<const Program> ranks, const OperationCosts& costs) { return JobClock(ranks, costs).run(); }

}  // namespace longhaul::cost
