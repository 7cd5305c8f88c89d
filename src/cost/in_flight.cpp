#include "cost/in_flight.h"

namespace longhaul::cost {

std::vector<InFlight> in_flight_over_step(const program::Schedule& schedule, const MemoryEstimate& memory, const PipelineTime& time) {
  using program::TurnKind;
  std::vector<int> chunks(static_cast<std::size_t>(schedule.stages), 0);
  std::vector<InFlight> out;
  const auto change = [&](int rank, double at, int by) {
    const StageMemory& stage = memory.stages[static_cast<std::size_t>(rank)];
    const int now = chunks[static_cast<std::size_t>(rank)] += by;
    const double activations = stage.in_flight > 0 ? stage.activations * now / stage.in_flight : 0;
    out.push_back({rank, at, static_cast<double>(now) / schedule.chunks, activations, stage.total() - stage.activations + activations});
  };
  for (const PlayedTurn& turn : time.turns) {
    if (turn.turn.kind == TurnKind::forward) change(turn.rank, turn.begin, 1);
    if (turn.turn.kind == (schedule.split_backward() ? TurnKind::weight_gradient : TurnKind::backward)) change(turn.rank, turn.end, -1);
  }
  return out;
}

}  // namespace longhaul::cost
