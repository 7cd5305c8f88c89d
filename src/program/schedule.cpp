#include "program/schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "units/error.h"

namespace longhaul::program {
namespace {

std::vector<Turn> gpipe(int m) {
  std::vector<Turn> turns;
  for (int i = 0; i < m; ++i) turns.push_back({TurnKind::forward, i, 0});
  for (int i = 0; i < m; ++i) turns.push_back({TurnKind::backward, i, 0});
  return turns;
}

/// The order in which a rank's chunks see micro-batches when these go in groups of `stages` through one chunk after the other.
class Groups {
 public:
  /// @param last_first chunks from the last to the first, as gradients come
  Groups(int stages, int chunks, bool last_first) : stages_(stages), chunks_(chunks), last_first_(last_first) {}
  Turn next() {
    const Turn turn{last_first_ ? TurnKind::backward : TurnKind::forward, first_ + at_, last_first_ ? chunks_ - 1 - chunk_ : chunk_};
    if (++at_ < stages_) return turn;
    at_ = 0;
    if (++chunk_ < chunks_) return turn;
    chunk_ = 0;
    first_ += stages_;
    return turn;
  }

 private:
  const int stages_, chunks_;
  const bool last_first_;
  int first_ = 0, at_ = 0, chunk_ = 0;
};

/// The order of Narayanan et al. 2021: warm-up forwards, pairs of forward and backward, the remaining backwards.
std::vector<Turn> one_f_one_b(int rank, int p, int m, int v) {
  const int total = m * v, warm_up = std::min(total, v == 1 ? p - rank - 1 : 2 * (p - rank - 1) + (v - 1) * p);
  Groups forwards(p, v, false), backwards(p, v, true);
  std::vector<Turn> turns;
  turns.reserve(2 * static_cast<std::size_t>(total));
  for (int k = 0; k < warm_up; ++k) turns.push_back(forwards.next());
  for (int k = warm_up; k < total; ++k) turns.push_back(forwards.next()), turns.push_back(backwards.next());
  for (int k = total - warm_up; k < total; ++k) turns.push_back(backwards.next());
  return turns;
}

/// Zero-bubble (Qi et al. 2023 figure 3): warm-up forwards, then for each micro-batch its input gradient, the weight gradient of an
/// earlier one, a forward. A rank further down the pipeline puts off more weight gradients; they fill its end, while the gradients on
/// their way up keep the ranks before it busy. ZB-H1: p − r forwards ahead, r weight gradients behind, so that no rank holds more than p
/// micro-batches, 1F1B's first. ZB-H2: about twice as many of each.
std::vector<Turn> zero_bubble(int rank, int p, int m, bool twice) {
  const int ahead = std::min(m, twice ? 2 * (p - rank) - 1 : p - rank), behind = twice ? 2 * rank : rank;
  std::vector<Turn> turns;
  turns.reserve(3 * static_cast<std::size_t>(m));
  for (int k = 0; k < ahead; ++k) turns.push_back({TurnKind::forward, k, 0});
  for (int k = 0; k < m; ++k) {
    turns.push_back({TurnKind::input_gradient, k, 0});
    if (k >= behind) turns.push_back({TurnKind::weight_gradient, k - behind, 0});
    if (ahead + k < m) turns.push_back({TurnKind::forward, ahead + k, 0});
  }
  for (int k = std::max(0, m - behind); k < m; ++k) turns.push_back({TurnKind::weight_gradient, k, 0});
  return turns;
}

std::string describe(const Turn& turn, int rank) {
  constexpr std::array<const char*, 4> names{"forward", "backward", "input gradient", "weight gradient"};
  return fmt::format("rank {}: {} of micro-batch {}, chunk {}", rank, names[static_cast<std::size_t>(turn.kind)], turn.micro_batch,
                     turn.chunk);
}

/// Plays a schedule without time: which turns have been taken.
class Player {
 public:
  explicit Player(const Schedule& schedule) : schedule_(schedule), next_(schedule.ranks.size(), 0) {
    const std::size_t cells = static_cast<std::size_t>(schedule.virtual_stages()) * schedule.micro_batches;
    forward_.resize(cells), gradient_.resize(cells), weight_.resize(cells);
  }

  std::vector<std::string> play() {
    for (bool moved = true; moved;) {
      moved = false;
      for (int rank = 0; rank < schedule_.stages; ++rank)
        while (next_[rank] < schedule_.ranks[rank].size() && take(schedule_.ranks[rank][next_[rank]], rank)) {
          ++next_[rank];
          moved = true;
        }
    }
    for (int rank = 0; rank < schedule_.stages; ++rank)
      if (next_[rank] < schedule_.ranks[rank].size())
        faults_.push_back(describe(schedule_.ranks[rank][next_[rank]], rank) + " waits for what never comes");
    if (faults_.empty()) check_complete();
    return std::move(faults_);
  }

 private:
  std::size_t cell(int stage, int micro_batch) const { return static_cast<std::size_t>(stage) * schedule_.micro_batches + micro_batch; }

  /// True when the turn could be taken now (also when it is at fault, so that the rest is checked too).
  bool take(const Turn& turn, int rank) {
    if (turn.micro_batch < 0 || turn.micro_batch >= schedule_.micro_batches || turn.chunk < 0 || turn.chunk >= schedule_.chunks) {
      faults_.push_back(describe(turn, rank) + " does not exist");
      return true;
    }
    const int stage = schedule_.virtual_stage(rank, turn.chunk), last = schedule_.virtual_stages() - 1;
    const std::size_t here = cell(stage, turn.micro_batch);
    if (turn.kind == TurnKind::forward) {
      if (stage > 0 && !forward_[cell(stage - 1, turn.micro_batch)]) return false;
      once(forward_, here, turn, rank);
    } else if (turn.kind == TurnKind::weight_gradient) {
      if (!gradient_[here]) faults_.push_back(describe(turn, rank) + " comes before its input gradient");
      rising(here, turn, rank);
    } else {
      if (!forward_[here]) {
        faults_.push_back(describe(turn, rank) + " comes before its forward");
        return true;
      }
      if (stage < last && !gradient_[cell(stage + 1, turn.micro_batch)]) return false;
      once(gradient_, here, turn, rank);
      if (turn.kind == TurnKind::backward) rising(here, turn, rank);
    }
    return true;
  }
  void once(std::vector<bool>& done, std::size_t at, const Turn& turn, int rank) {
    if (done[at]) faults_.push_back(describe(turn, rank) + " comes twice");
    done[at] = true;
  }
  void rising(std::size_t at, const Turn& turn, int rank) {
    if (turn.micro_batch > 0 && !weight_[at - 1]) faults_.push_back(describe(turn, rank) + " breaks the rising order of weight gradients");
    once(weight_, at, turn, rank);
  }
  void check_complete() {
    for (int stage = 0; stage < schedule_.virtual_stages(); ++stage)
      for (int i = 0; i < schedule_.micro_batches; ++i)
        if (!forward_[cell(stage, i)] || !gradient_[cell(stage, i)] || !weight_[cell(stage, i)])
          faults_.push_back(fmt::format("virtual stage {}: micro-batch {} is not finished", stage, i));
  }

  const Schedule& schedule_;
  std::vector<std::size_t> next_;
  std::vector<bool> forward_, gradient_, weight_;
  std::vector<std::string> faults_;
};

}  // namespace

Schedule make_schedule(ScheduleKind kind, int stages, int micro_batches, int chunks) {
  if (stages < 1 || micro_batches < 1 || chunks < 1)
    throw UsageError(
        fmt::format("a schedule needs at least one stage, micro-batch and chunk; got {}, {}, {}", stages, micro_batches, chunks));
  const bool interleaved = kind == ScheduleKind::interleaved;
  if (!interleaved && chunks > 1) throw UsageError(fmt::format("virtual={} needs schedule=interleaved, not {}", chunks, name(kind)));
  if (interleaved && (chunks < 2 || micro_batches % stages != 0))
    throw UsageError(
        fmt::format("schedule=interleaved needs virtual of at least 2 (got {}) and micro-batches that pp divides (got {} for pp={})",
                    chunks, micro_batches, stages));
  Schedule schedule{kind, stages, micro_batches, chunks, {}};
  for (int rank = 0; rank < stages; ++rank) {
    if (kind == ScheduleKind::gpipe)
      schedule.ranks.push_back(gpipe(micro_batches));
    else if (schedule.split_backward())
      schedule.ranks.push_back(zero_bubble(rank, stages, micro_batches, kind == ScheduleKind::zb_h2));
    else
      schedule.ranks.push_back(one_f_one_b(rank, stages, micro_batches, chunks));
  }
  return schedule;
}

std::vector<std::string> validate(const Schedule& schedule) {
  if (static_cast<int>(schedule.ranks.size()) != schedule.stages)
    return {fmt::format("the schedule has lists for {} ranks, not {}", schedule.ranks.size(), schedule.stages)};
  return Player(schedule).play();
}

int peak_in_flight(const Schedule& schedule, int rank) {
  int live = 0, peak = 0;
  for (const Turn& turn : schedule.ranks.at(rank)) {
    if (turn.kind == TurnKind::forward) peak = std::max(peak, ++live);
    if (turn.kind == TurnKind::backward || turn.kind == TurnKind::weight_gradient) --live;
  }
  return peak;
}

}  // namespace longhaul::program
