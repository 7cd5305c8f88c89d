#include "train/step_trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace longhaul::train {
namespace {

constexpr int kWork = 0, kTransfers = 1;

/// One rank's operations: id, whether it moves bytes, begin and duration in seconds of the machine's steady clock.
nlohmann::json own_operations(Engine& engine) {
  nlohmann::json list = nlohmann::json::array();
  const Executor& step = engine.step();
  for (std::size_t i = 0; i < step.program().operations.size(); ++i) {
    const program::Operation& op = step.program().operations[i];
    list.push_back({program::id(op), program::is_transfer(op.kind), step.begins()[i], step.seconds()[i]});
  }
  return list;
}

nlohmann::json metadata(int rank, int track, const char* what, const std::string& name) {
  return {{"ph", "M"}, {"pid", rank}, {"tid", track}, {"name", what}, {"args", {{"name", name}}}};
}

}  // namespace

std::string step_trace(Engine& engine) {
  comm::Communicator& communicator = engine.communicator();
  const std::string own = own_operations(engine).dump();
  std::vector<nlohmann::json> ranks;
  for (const std::vector<std::byte>& of_rank : communicator.all_gather("trace", std::as_bytes(std::span(own))))
    ranks.push_back(nlohmann::json::parse(std::string_view(reinterpret_cast<const char*>(of_rank.data()), of_rank.size())));
  if (communicator.rank() != 0) return "";
  double first = INFINITY;
  for (const nlohmann::json& operations : ranks)
    for (const nlohmann::json& op : operations) first = std::min(first, op[2].get<double>());
  nlohmann::json events = nlohmann::json::array();
  const program::Layout& layout = engine.step_program().layout;
  for (int rank = 0; rank < static_cast<int>(ranks.size()); ++rank) {
    const program::Place place = program::place_of(rank, layout);
    events.push_back(metadata(rank, kWork, "process_name", fmt::format("rank {} (dp {}, pp {}), measured", rank, place.dp, place.pp)));
    events.push_back(metadata(rank, kWork, "thread_name", "work"));
    events.push_back(metadata(rank, kTransfers, "thread_name", "transfers and waiting"));
    for (const nlohmann::json& op : ranks[static_cast<std::size_t>(rank)])
      events.push_back({{"ph", "X"},
                        {"pid", rank},
                        {"tid", op[1].get<bool>() ? kTransfers : kWork},
                        {"name", op[0]},
                        {"ts", 1e6 * (op[2].get<double>() - first)},
                        {"dur", 1e6 * op[3].get<double>()}});
  }
  return nlohmann::json{{"traceEvents", events}, {"displayTimeUnit", "ms"}}.dump() + "\n";
}

}  // namespace longhaul::train
