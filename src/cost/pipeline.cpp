#include "cost/pipeline.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <stdexcept>

namespace longhaul::cost {
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

class PipelineClock {
 public:
  PipelineClock(const Schedule& schedule, std::span<const StageCost> costs, bool keep_turns)
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
    double ready = 0, seconds = 0, received = 0;
    switch (turn.kind) {
      case TurnKind::forward:
        ready = stage == 0 ? 0 : forward_(stage - 1, turn.micro_batch);
        received = stage == 0 ? 0 : costs_[stage - 1].blocking_forward;
        seconds = cost.forward;
        break;
      case TurnKind::backward:
      case TurnKind::input_gradient:
        ready = stage == last_ ? 0 : backward_(stage + 1, turn.micro_batch);
        received = stage == last_ ? 0 : costs_[stage + 1].blocking_backward;
        seconds = turn.kind == TurnKind::backward ? cost.backward() : cost.input_gradient;
        break;
      case TurnKind::weight_gradient:
        seconds = cost.weight_gradient;
        break;
    }
    if (ready == kNever) return false;
    const double begin = std::max(ready, time_.end[rank]) + received, end = begin + seconds;
    time_.end[rank] = end;
    time_.busy[rank] += seconds;
    if (turn.kind == TurnKind::forward)
      send(forward_(stage, turn.micro_batch), rank, cost.send_forward, stage < last_ ? cost.blocking_forward : 0);
    if (turn.kind == TurnKind::backward || turn.kind == TurnKind::input_gradient)
      send(backward_(stage, turn.micro_batch), rank, cost.send_backward, stage > 0 ? cost.blocking_backward : 0);
    if (keep_turns_) kept_[rank].push_back({rank, turn, begin, end});
    ++next_[rank];
    return true;
  }

  void send(double& arrival, int rank, double seconds, double blocking) {
    arrival = time_.end[rank] + seconds;
    time_.end[rank] += blocking;
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

/// Finds where a played schedule has begun to repeat itself.
class Periods {
 public:
  /// @param window micro-batches whose turns must repeat: more than any turn's input is behind it
  Periods(const Schedule& schedule, const PipelineTime& time, int window) : schedule_(schedule), window_(window) {
    const PlayedTurn* turns = time.turns.data();
    for (const auto& rank : schedule.ranks) {
      const auto is_forward = [](const Turn& turn) { return turn.kind == TurnKind::forward; };
      // Up to a rank's last forward nothing depends on how many micro-batches there are.
      steady_.emplace_back(turns, static_cast<std::size_t>(std::find_if(rank.rbegin(), rank.rend(), is_forward).base() - rank.begin()));
      turns += rank.size();
    }
    tolerance_ = 1e-12 * time.total;
  }

  /// Seconds that `shift` micro-batches more take, if every rank's window agrees.
  std::optional<double> period(int shift) const {
    const std::size_t of_one = (schedule_.split_backward() ? 3u : 2u) * schedule_.chunks, back = of_one * shift, length = of_one * window_;
    std::optional<double> seconds;
    for (const std::span<const PlayedTurn> rank : steady_) {
      if (rank.size() < back + length) return std::nullopt;
      for (std::size_t i = rank.size() - length; i < rank.size(); ++i) {
        const PlayedTurn &now = rank[i], &then = rank[i - back];
        if (now.turn.kind != then.turn.kind || now.turn.chunk != then.turn.chunk || now.turn.micro_batch != then.turn.micro_batch + shift)
          return std::nullopt;
        if (!seconds) seconds = now.begin - then.begin;
        if (std::abs(now.begin - then.begin - *seconds) > tolerance_) return std::nullopt;
      }
    }
    return seconds;
  }

 private:
  const Schedule& schedule_;
  const int window_;
  std::vector<std::span<const PlayedTurn>> steady_;
  double tolerance_ = 0;
};

/// `time` with as many periods of `shift` micro-batches added.
PipelineTime prolonged(PipelineTime time, std::span<const StageCost> costs, double periods, double seconds, int shift) {
  time.turns.clear();
  for (double& end : time.end) end += periods * seconds;
  time.total += periods * seconds;
  for (std::size_t stage = 0; stage < costs.size(); ++stage)
    time.busy[stage % time.busy.size()] += periods * shift * (costs[stage].forward + costs[stage].backward());
  return time;
}

/// Weight gradients that a rank computes after its last input gradient: nobody before it waits for them.
int trailing_weight_gradients(const std::vector<Turn>& turns) {
  const auto last = std::find_if(turns.rbegin(), turns.rend(), [](const Turn& turn) { return turn.kind != TurnKind::weight_gradient; });
  return static_cast<int>(last - turns.rbegin());
}

/// All that a micro-batch takes of a rank: its virtual stages together.
struct RankWork {
  double work = 0, weight_gradient = 0, blocking = 0, last_blocking = 0;
};
RankWork work_of(std::span<const StageCost> costs, std::size_t rank, std::size_t ranks) {
  RankWork out;
  const std::size_t last = costs.size() - 1;
  for (std::size_t i = rank; i <= last; i += ranks) {
    out.work += costs[i].forward + costs[i].backward();
    out.weight_gradient += costs[i].weight_gradient;
    if (i < last) out.blocking += costs[i].blocking_forward + costs[i + 1].blocking_backward;
    if (i > 0) out.blocking += costs[i].blocking_backward + costs[i - 1].blocking_forward;
    if (i > 0) out.last_blocking = std::max(out.last_blocking, costs[i].blocking_backward);
  }
  return out;
}

}  // namespace

double PipelineTime::bubble() const {
  const double all = total * static_cast<double>(busy.size());
  return all > 0 ? 1 - std::accumulate(busy.begin(), busy.end(), 0.0) / all : 0;
}

PipelineTime play(const Schedule& schedule, std::span<const StageCost> costs, bool keep_turns) {
  if (costs.size() != static_cast<std::size_t>(schedule.virtual_stages())) throw std::logic_error("one cost for each virtual stage");
  return PipelineClock(schedule, costs, keep_turns).run();
}

PipelineTime play_periodic(program::ScheduleKind kind, int stages, int micro_batches, int chunks, std::span<const StageCost> costs) {
  const auto make = [&](int count) { return program::make_schedule(kind, stages, count, chunks); };
  // Groups of `stages` micro-batches go through a rank's chunks; no circuit of dependencies is longer than the pipeline is deep.
  const int unit = chunks > 1 ? stages : 1, window = chunks > 1 ? 4 * stages : 2 * stages + 2;
  const int first = 2 * (window + stages);
  for (int few = first; kind != program::ScheduleKind::gpipe && few + stages < micro_batches; few *= 3) {
    int played = few, shift = unit;
    std::optional<double> seconds;
    PipelineTime time;
    const auto look = [&](int count) {
      const Schedule schedule = make(count);
      time = play(schedule, costs, true);
      const Periods periods(schedule, time, window);
      while (!(seconds = periods.period(shift)) && played == few && shift < stages) shift += unit;
      return seconds.has_value();
    };
    if (!look(few)) continue;
    // As many more as leave a whole number of periods.
    played += (micro_batches - few) % shift;
    if (played > few && !look(played)) continue;
    const int periods = (micro_batches - played) / shift;  // whole: see above
    return prolonged(std::move(time), costs, periods, *seconds, shift);
  }
  return play(make(micro_batches), costs);
}

PipelineTime bound_pipeline(program::ScheduleKind kind, int stages, int micro_batches, int chunks, std::span<const StageCost> costs) {
  const bool split = kind == program::ScheduleKind::zb_h1 || kind == program::ScheduleKind::zb_h2;
  const Schedule schedule = split ? program::make_schedule(kind, stages, micro_batches, chunks) : Schedule{};
  PipelineTime out;
  double there = 0, back = 0;  // ways of a micro-batch to the rank and of its gradient back
  for (int rank = 0; rank < stages; ++rank) {
    const RankWork work = work_of(costs, static_cast<std::size_t>(rank), static_cast<std::size_t>(stages));
    const double first_blocking = rank > 0 ? costs[rank - 1].blocking_forward : 0;  // part of the way there
    const double turns = micro_batches * (work.work + work.blocking) - first_blocking;
    const double unawaited = split ? trailing_weight_gradients(schedule.ranks[rank]) * work.weight_gradient : 0;
    out.busy.push_back(micro_batches * work.work);
    out.total = std::max({out.total, there + turns, there + turns - unawaited - work.last_blocking + back});
    there += costs[rank].forward + costs[rank].send_forward + costs[rank].blocking_forward;
    if (rank + 1 == stages) break;
    const StageCost& next = costs[rank + 1];
    back += next.send_backward + next.blocking_backward + (split ? costs[rank].input_gradient : costs[rank].backward());
  }
  return out;
}

}  // namespace longhaul::cost
