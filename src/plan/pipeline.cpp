#include "plan/pipeline.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>

namespace longhaul::plan {
namespace {

using program::Schedule;
using program::Turn;
using program::TurnKind;

constexpr double kNever = -1;

/// When the output of each (virtual stage, micro-batch) arrives at its reader; kNever until it is made.
class Arrivals {
 public:
  Arrivals(int stages, int micro_batches) : micro_batches_(micro_batches), at_(static_cast<std::size_t>(stages) * micro_batches, kNever) {}
  double& operator()(int stage, int micro_batch) { return at_[static_cast<std::size_t>(stage) * micro_batches_ + micro_batch]; }

 private:
  int micro_batches_;
  std::vector<double> at_;
};

class Clock {
 public:
  Clock(const Schedule& schedule, std::span<const StageCost> costs, bool keep_turns)
      : schedule_(schedule),
        costs_(costs),
        keep_turns_(keep_turns),
        last_(schedule.virtual_stages() - 1),
        forward_(schedule.virtual_stages(), schedule.micro_batches),
        backward_(schedule.virtual_stages(), schedule.micro_batches),
        next_(schedule.ranks.size(), 0),
        kept_(keep_turns ? schedule.ranks.size() : 0) {
    time_.busy.assign(schedule.ranks.size(), 0);
    time_.end.assign(schedule.ranks.size(), 0);
  }

  PipelineTime run() {
    // A rank runs until it must wait; each turn can wake only its two neighbours, so a stack of ranks to look at is enough.
    std::vector<int> awake(schedule_.ranks.size());
    std::iota(awake.rbegin(), awake.rend(), 0);
    while (!awake.empty()) {
      const int rank = awake.back();
      awake.pop_back();
      bool moved = false;
      while (next_[rank] < schedule_.ranks[rank].size() && take(rank)) moved = true;
      if (!moved || schedule_.stages == 1) continue;
      awake.push_back((rank + schedule_.stages - 1) % schedule_.stages);
      awake.push_back((rank + 1) % schedule_.stages);
    }
    for (std::size_t rank = 0; rank < next_.size(); ++rank)
      if (next_[rank] < schedule_.ranks[rank].size()) throw std::logic_error("a pipeline schedule that cannot end");
    time_.total = *std::max_element(time_.end.begin(), time_.end.end());
    for (auto& turns : kept_) time_.turns.insert(time_.turns.end(), turns.begin(), turns.end());
    return std::move(time_);
  }

 private:
  /// Takes the rank's next turn if its input is there.
  bool take(int rank) {
    const Turn& turn = schedule_.ranks[rank][next_[rank]];
    const int stage = schedule_.virtual_stage(rank, turn.chunk);
    const StageCost& cost = costs_[stage];
    double ready = 0, seconds = 0;
    switch (turn.kind) {
      case TurnKind::forward:
        ready = stage == 0 ? 0 : forward_(stage - 1, turn.micro_batch);
        seconds = cost.forward;
        break;
      case TurnKind::backward:
      case TurnKind::input_gradient:
        ready = stage == last_ ? 0 : backward_(stage + 1, turn.micro_batch);
        seconds = turn.kind == TurnKind::backward ? cost.backward() : cost.input_gradient;
        break;
      case TurnKind::weight_gradient:
        seconds = cost.weight_gradient;
        break;
    }
    if (ready == kNever) return false;
    const double begin = std::max(ready, time_.end[rank]), end = begin + seconds;
    time_.end[rank] = end;
    time_.busy[rank] += seconds;
    if (turn.kind == TurnKind::forward) forward_(stage, turn.micro_batch) = end + cost.send_forward;
    if (turn.kind == TurnKind::backward || turn.kind == TurnKind::input_gradient)
      backward_(stage, turn.micro_batch) = end + cost.send_backward;
    if (keep_turns_) kept_[rank].push_back({rank, turn, begin, end});
    ++next_[rank];
    return true;
  }

  const Schedule& schedule_;
  const std::span<const StageCost> costs_;
  const bool keep_turns_;
  const int last_;
  Arrivals forward_, backward_;
  std::vector<std::size_t> next_;
  std::vector<std::vector<PlayedTurn>> kept_;
  PipelineTime time_;
};

}  // namespace

double PipelineTime::bubble() const {
  const double all = total * static_cast<double>(busy.size());
  return all > 0 ? 1 - std::accumulate(busy.begin(), busy.end(), 0.0) / all : 0;
}

PipelineTime play(const Schedule& schedule, std::span<const StageCost> costs, bool keep_turns) {
  if (costs.size() != static_cast<std::size_t>(schedule.virtual_stages())) throw std::logic_error("one cost for each virtual stage");
  return Clock(schedule, costs, keep_turns).run();
}

}  // namespace longhaul::plan
