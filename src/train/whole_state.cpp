#include "train/whole_state.h"

#include <algorithm>
#include <cstring>

namespace longhaul::train {
namespace {

constexpr std::string_view kGroups[] = {checkpoint::kWeights, checkpoint::kMoment1, checkpoint::kMoment2, checkpoint::kAverage};

/// What a rank tells the first one of a part that it holds.
struct Part {
  std::int64_t group, tensor, begin, end, first;
};

Part part_of(const Engine::Held& held) {
  const auto group = std::find(std::begin(kGroups), std::end(kGroups), held.group) - std::begin(kGroups);
  return {group, held.tensor, held.begin, held.end, held.first};
}

std::span<std::byte> memory(float* data, std::int64_t count) {
  return std::as_writable_bytes(std::span(data, static_cast<std::size_t>(count)));
}

}  // namespace

WholeState::WholeState(const Engine& engine) : engine_(engine) {
  if (engine.alone() || engine.communicator().rank() != 0) return;
  for (const Engine::Held& held : engine.held())
    groups_.try_emplace(std::string(held.group), static_cast<std::size_t>(engine.table().padded_count()), 0.0F);
}

std::vector<checkpoint::TensorEntry> WholeState::registry() {
  if (engine_.alone()) return engine_.registry();
  std::vector<checkpoint::TensorEntry> entries;
  for (const std::string_view group : kGroups)
    if (const auto found = groups_.find(group); found != groups_.end())
      for (checkpoint::TensorEntry& entry : engine_.registry_of(group, found->second.data())) entries.push_back(std::move(entry));
  return entries;
}

float* WholeState::place(const Engine::Held& held) {
  return groups_.find(held.group)->second.data() + engine_.table().tensors()[static_cast<std::size_t>(held.tensor)].offset + held.begin;
}

void WholeState::collect() {
  if (!engine_.alone()) move(true);
}
void WholeState::distribute() {
  if (!engine_.alone()) move(false);
}

void WholeState::move(bool to_root) {
  comm::Communicator& communicator = engine_.communicator();
  std::vector<Engine::Held> own = engine_.held();
  if (to_root) std::erase_if(own, [](const Engine::Held& held) { return !held.first; });
  std::vector<Part> parts;
  for (const Engine::Held& held : own) parts.push_back(part_of(held));
  const std::vector<std::vector<std::byte>> all = communicator.all_gather("state_parts", std::as_bytes(std::span(parts)));
  std::vector<comm::Outgoing> outgoing;
  std::vector<comm::Incoming> incoming;
  comm::Outgoing out{0, {}};
  comm::Incoming in{0, {}};
  for (const Engine::Held& held : own) {
    const std::span<std::byte> here = memory(held.data, held.end - held.begin);
    if (communicator.rank() != 0) {
      out.parts.push_back(here);
      in.parts.push_back(here);
    } else if (to_root) {
      std::memcpy(place(held), here.data(), here.size());
    } else {
      std::memcpy(here.data(), place(held), here.size());
    }
  }
  if (communicator.rank() != 0 && to_root) outgoing.push_back(std::move(out));
  if (communicator.rank() != 0 && !to_root) incoming.push_back(std::move(in));
  for (int rank = 1; communicator.rank() == 0 && rank < communicator.ranks(); ++rank) {
    comm::Outgoing to{rank, {}};
    comm::Incoming from{rank, {}};
    const std::vector<std::byte>& of_rank = all[static_cast<std::size_t>(rank)];
    for (std::size_t i = 0; i + sizeof(Part) <= of_rank.size(); i += sizeof(Part)) {
      Part part{};
      std::memcpy(&part, of_rank.data() + i, sizeof part);
      float* data = place({kGroups[part.group], static_cast<int>(part.tensor), part.begin, part.end, nullptr, true});
      to.parts.push_back(memory(data, part.end - part.begin));
      from.parts.push_back(memory(data, part.end - part.begin));
    }
    if (to_root)
      incoming.push_back(std::move(from));
    else
      outgoing.push_back(std::move(to));
  }
  communicator.exchange("state", std::move(outgoing), std::move(incoming));
}

}  // namespace longhaul::train
