#include "train/rank_account.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "units/statistics.h"

namespace longhaul::train {
namespace {

constexpr std::int64_t kFirst = 3, kLast = 10;
constexpr const char* kTransfers = "transfers";
/// Longer than a machine's noise from rank to rank (accounting G: medians of quiet steps lie within a tenth).
constexpr double kSlow = 1.25;

/// Bytes that the program's transfers send, by channel, where the plan knows them.
std::map<std::string, std::int64_t> planned_bytes(const program::Program& program) {
  std::map<std::string, std::int64_t> bytes;
  for (const program::Operation& op : program.operations) {
    const program::Transfer& t = op.transfer;
    const bool exact = op.kind == program::OpKind::send || t.sum >= 0 || t.gather >= 0 || t.group == program::Group::world;
    if (program::is_transfer(op.kind) && op.kind != program::OpKind::receive && exact)
      bytes[std::string(t.what)] += op.kind == program::OpKind::send ? t.bytes.value : t.sent.value;
  }
  return bytes;
}

}  // namespace

std::vector<nlohmann::json> RankAccount::after_step(std::int64_t step, Engine& engine) {
  comm::Communicator& communicator = engine.communicator();
  if (communicator.ranks() == 1 || step > kLast) return {};
  if (step >= kFirst) {
    std::map<std::string, double> seconds;
    const std::vector<program::Operation>& operations = engine.step_program().operations;
    for (std::size_t i = 0; i < operations.size(); ++i) {
      const bool moves = program::is_transfer(operations[i].kind);
      seconds[moves ? kTransfers : std::string(program::ledger_phase(operations[i]))] += engine.step().seconds()[i];
    }
    for (const auto& [phase, sum] : seconds) seconds_[phase].push_back(sum);
  }
  if (step < kLast) return {};
  const std::string text = own(engine).dump();
  std::vector<nlohmann::json> ranks;
  for (const std::vector<std::byte>& of_rank : communicator.all_gather("rank_account", std::as_bytes(std::span(text))))
    ranks.push_back(nlohmann::json::parse(std::string_view(reinterpret_cast<const char*>(of_rank.data()), of_rank.size())));
  return communicator.rank() == 0 ? ranks : std::vector<nlohmann::json>();
}

nlohmann::json RankAccount::own(Engine& engine) const {
  const std::map<std::string, comm::Traffic> step = engine.step().step_traffic();
  const program::Program& program = engine.step_program();
  nlohmann::json seconds = nlohmann::json::object(), bytes = nlohmann::json::object();
  for (const auto& [phase, all] : seconds_) seconds[phase] = median(all);
  for (const auto& [channel, planned] : planned_bytes(program)) {
    const auto counted = step.find(channel);
    bytes[channel] = {{"planned", planned}, {"counted", counted == step.end() ? 0 : counted->second.sent}};
  }
  return {{"rank", engine.communicator().rank()},
          {"dp", program.place.dp},
          {"pp", program.place.pp},
          {"seconds", seconds},
          {"sent_bytes", bytes},
          {"arena_bytes", engine.arena().size().value},
          {"arena_high_water_bytes", engine.arena().high_water().value}};
}

std::vector<std::string> stragglers(const std::vector<nlohmann::json>& ranks) {
  const auto work = [](const nlohmann::json& rank) {
    double sum = 0;
    for (const auto& [phase, seconds] : rank.at("seconds").items())
      if (phase != kTransfers) sum += seconds.get<double>();
    return sum;
  };
  std::vector<std::string> out;
  for (const nlohmann::json& rank : ranks) {
    std::vector<double> stage;
    for (const nlohmann::json& other : ranks)
      if (other.at("pp") == rank.at("pp")) stage.push_back(work(other));
    const double middle = median(stage);
    if (stage.size() > 1 && work(rank) > kSlow * middle)
      out.push_back(fmt::format("rank {} (dp {}, pp {}) works {:.2f} times as long a step as the median of its stage",
                                rank.at("rank").get<int>(), rank.at("dp").get<int>(), rank.at("pp").get<int>(), work(rank) / middle));
  }
  return out;
}

}  // namespace longhaul::train
